/* The connection that asks replicas has reached another Redis than what people say, or nobody knows
 * which one. */
#include "unit.h"

#include "broker/durability.h"
#include "fake_redis.h"
#include "redis_stage.h"

#include <event2/event.h>

static struct {
    struct event_base *base;
    struct fake_redis *fakes[2]; /* what people say reaches the first one */
    struct redis_url urls[2];
    struct metrics metrics;
    unsigned address_index;
    struct redis *commands;
    struct durability *durability;
} stage;

static void on_ready(void *arg)
{
    (void)arg;
}

static void on_lost(void *arg, const char *why)
{
    (void)arg;
    (void)why;
}

static void on_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    (void)error;
}

static void flush(void *arg)
{
    (void)arg;
    durability_flush(stage.durability);
    redis_flush(stage.commands);
}

static bool is_ready(void *arg)
{
    (void)arg;
    return redis_is_ready(stage.commands) && durability_why_not_ready(stage.durability) == NULL;
}

static struct redis_options options_of(const struct redis_url *url)
{
    return (struct redis_options){.base = stage.base,
                                  .url = url,
                                  .address_index = &stage.address_index,
                                  .client_name = "unit",
                                  .limits = {1 << 20, 1 << 20},
                                  .metrics = &stage.metrics};
}

#define ANOTHER "'run_id:other\r\nmaster_replid:first\r\n'"
#define SAME    "'run_id:fake\r\nmaster_replid:first\r\n'"
#define SILENT  "'master_replid:first\r\n'" /* who it is */

static void open_with(const char *info_of_commands, const char *info)
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error};
    memset(&stage, 0, sizeof stage);
    stage.base = event_base_new();
    for (size_t i = 0; i < 2; i++) {
        stage.fakes[i] = fake_redis_new(stage.base);
        assert_null(redis_url_parse(fake_redis_url(stage.fakes[i]), &stage.urls[i]));
    }
    fake_redis_always(stage.fakes[0], "INFO", info_of_commands);
    fake_redis_always(stage.fakes[1], "INFO", info);
    fake_redis_always(stage.fakes[1], "SET", "+OK");
    const struct redis_options options = options_of(&stage.urls[0]);
    stage.commands = redis_new(&options, &callbacks, NULL);
    stage.durability = durability_new(&(struct durability_options){
        .commands = stage.commands,
        .server = options_of(&stage.urls[1]),
        .key = "key",
        .on_error = on_error,
    });
    fake_redis_follow(stage.fakes[1], flush, NULL);
    fake_redis_run_until(stage.fakes[1], is_ready, NULL);
    redis_stage_told();
}

static int close_stage(void **state)
{
    (void)state;
    redis_stop(stage.commands);
    durability_free(stage.durability);
    redis_free(stage.commands);
    for (size_t i = 0; i < 2; i++)
        fake_redis_free(stage.fakes[i]);
    event_base_free(stage.base);
    return 0;
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    durability_await(stage.durability, arg, reply);
}

static void wait_for_replica(struct durability_wait *wait)
{
    *wait = (struct durability_wait){.done = redis_stage_tell, .arg = "a", .says = 1};
    durability_begin(stage.durability, wait);
    redis_send_strings(stage.commands, on_answered, wait, "PING", NULL);
}

/* What is said is not confirmed, and no replica asked. */
static void expect_unknown(void)
{
    struct durability_wait wait;
    wait_for_replica(&wait);
    fake_redis_settle(stage.fakes[1]);
    assert_string_equal(redis_stage_told(), "a:none");
    assert_int_equal(fake_redis_count(stage.fakes[1], "WAIT"), 0);
    assert_int_equal(stage.metrics.replica_waits_failed, 1);
}

static void expect_confirmed(void)
{
    struct durability_wait wait;
    wait_for_replica(&wait);
    fake_redis_answer(fake_redis_await(stage.fakes[1], "WAIT"), "1");
    fake_redis_settle(stage.fakes[1]);
    assert_string_equal(redis_stage_told(), "a:PONG");
}

static void test_another_redis_is_not_asked_and_the_right_one_is_looked_for(void **state)
{
    (void)state;
    open_with(SAME, ANOTHER);
    expect_unknown();
    /* behind that name is the right one by now */
    fake_redis_always(stage.fakes[1], "INFO", SAME);
    fake_redis_run_until(stage.fakes[1], is_ready, NULL);
    expect_confirmed();
}

/* So often was it connected to. */
static size_t count_connections(void)
{
    return fake_redis_count(stage.fakes[1], "CLIENT");
}

static void test_one_that_does_not_tell_who_it_is_is_neither_asked_nor_left(void **state)
{
    (void)state;
    open_with(SAME, SILENT);
    expect_unknown();
    assert_true(is_ready(NULL));
    fake_redis_always(stage.fakes[1], "INFO", SAME); /* it does after all */
    durability_tick(stage.durability);
    fake_redis_settle(stage.fakes[1]);
    expect_confirmed();
    assert_int_equal(count_connections(), 1);
}

static void test_nor_is_one_left_when_what_people_say_goes_to_nobody_knows_whom(void **state)
{
    (void)state;
    open_with(SILENT, SAME);
    expect_unknown();
    assert_true(is_ready(NULL));
    fake_redis_always(stage.fakes[0], "INFO", SAME);
    durability_tick(stage.durability);
    fake_redis_settle(stage.fakes[1]);
    expect_confirmed();
    assert_int_equal(count_connections(), 1);
}

static void test_two_that_do_not_tell_are_not_taken_for_the_same(void **state)
{
    (void)state;
    open_with(SILENT, SILENT);
    expect_unknown();
    assert_int_equal(count_connections(), 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_another_redis_is_not_asked_and_the_right_one_is_looked_for),
        TEST(test_one_that_does_not_tell_who_it_is_is_neither_asked_nor_left),
        TEST(test_nor_is_one_left_when_what_people_say_goes_to_nobody_knows_whom),
        TEST(test_two_that_do_not_tell_are_not_taken_for_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
