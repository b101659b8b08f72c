/* /readyz: nobody is sent here unless messages really pass. */
#include "unit.h"

#include "fake_redis.h"
#include "http_stage.h"
#include "skipping_clock.h"

enum {
    SOON_S = 30, /* by then at the latest it is known */
    DAY_MS = 86400000,
};

static struct fake_redis *fake;

static int open_all(void **state)
{
    (void)state;
    fake = stage_open_with_redis();
    stage_admit();
    return 0;
}

static bool is_ready(void)
{
    return stage_status(stage_get("/readyz", "")) == 200;
}

static bool is_not_ready(void)
{
    return !is_ready();
}

static void await_ready(void)
{
    stage_run_until(is_ready);
}

/* Is it ready in each of so many seconds? */
static bool stays_ready(unsigned seconds)
{
    for (; seconds > 0 && is_ready(); seconds--)
        stage_pass(1);
    return seconds == 0;
}

/* Passes seconds until it is not ready any more; the reason that it gives then. */
static const char *why_not(void)
{
    unsigned seconds = 0;
    for (; is_ready() && seconds < SOON_S; seconds++)
        stage_pass(1);
    struct stage_bytes answer = stage_get("/readyz", "");
    assert_int_equal(stage_status(answer), 503);
    assert_string_equal(stage_header(answer, "Retry-After"), "5");
    return stage_body(answer).data;
}

static void test_it_is_ready_as_long_as_what_is_said_comes_back_through_redis(void **state)
{
    (void)state;
    await_ready();
    assert_string_equal(stage_body(stage_get("/readyz", "")).data, "OK\n");
    assert_true(stays_ready(60));
}

static void test_it_is_not_ready_before_people_may_come_in(void **state)
{
    (void)state;
    fake = stage_open_with_redis();
    stage_pass(5);
    assert_non_null(strstr(why_not(), "gateway-id"));
    stage_admit();
    await_ready();
}

static void test_it_is_not_ready_while_redis_is_away_and_healthy_all_the_same(void **state)
{
    (void)state;
    await_ready();
    for (int i = 0; i < 3; i++) {
        fake_redis_set_away(fake, true);
        stage_run_until(is_not_ready);
        assert_non_null(strstr(why_not(), "Redis cannot be reached"));
        assert_int_equal(stage_status(stage_get("/healthz", "")), 200);
        fake_redis_set_away(fake, false);
        await_ready();
    }
}

static void test_it_is_not_ready_when_redis_takes_no_writes_and_says_why(void **state)
{
    (void)state;
    await_ready();
    fake_redis_always(fake, "probe", "-OOM command not allowed when used memory > 'maxmemory'.");
    assert_non_null(strstr(why_not(), "OOM command not allowed"));
}

/* Connected it is, and asked; but nothing comes over the channel. */
static void test_it_is_not_ready_when_what_is_said_does_not_come_back(void **state)
{
    (void)state;
    await_ready();
    fake_redis_always(fake, "probe", "1");
    why_not();
}

/* The connection is there, and is talked on: a probe of ten seconds ago shows nothing. */
static void test_it_is_not_ready_when_what_is_said_lags_far_behind(void **state)
{
    static const char channel[] = "yukizuri:gateway:stage";
    unsigned seconds = 0;
    (void)state;
    await_ready();
    assert_true(fake_redis_is_subscribed(fake, channel));
    fake_redis_always(fake, "probe", "1");
    for (; is_ready() && seconds < SOON_S; seconds++) {
        fake_redis_publish(fake, channel, "{}");
        stage_pass(1);
    }
    assert_non_null(strstr(why_not(), "no probe came back"));
    assert_true(fake_redis_is_subscribed(fake, channel));
}

static void test_it_is_not_ready_when_redis_does_not_answer(void **state)
{
    (void)state;
    await_ready();
    fake_redis_always(fake, "probe", NULL);
    why_not();
}

static void test_it_is_not_ready_before_it_knows_the_key_of_todays_addresses(void **state)
{
    (void)state;
    await_ready();
    fake_redis_always(fake, "GET", NULL);
    clock_skip_ms(3 * (int64_t)DAY_MS);
    stage_pass(SOON_S);
    assert_non_null(strstr(why_not(), "the key under which addresses are hashed"));
    fake_redis_always(fake, "GET", "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'");
    fake_redis_drop(fake, FAKE_ALL);
    await_ready();
}

static void test_it_is_not_ready_when_it_will_go_away(void **state)
{
    (void)state;
    await_ready();
    stage_announce_drain();
    assert_non_null(strstr(why_not(), "draining"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_is_ready_as_long_as_what_is_said_comes_back_through_redis),
        TEST(test_it_is_not_ready_before_people_may_come_in),
        TEST(test_it_is_not_ready_while_redis_is_away_and_healthy_all_the_same),
        TEST(test_it_is_not_ready_when_redis_takes_no_writes_and_says_why),
        TEST(test_it_is_not_ready_when_what_is_said_does_not_come_back),
        TEST(test_it_is_not_ready_when_what_is_said_lags_far_behind),
        TEST(test_it_is_not_ready_when_redis_does_not_answer),
        TEST(test_it_is_not_ready_before_it_knows_the_key_of_todays_addresses),
        TEST(test_it_is_not_ready_when_it_will_go_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
