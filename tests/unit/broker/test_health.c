/* The probe with a clock and two connections that this test has in its hands. */
#include "unit.h"

#include "base/clock.h"
#include "broker/health.h"
#include "broker/topic.h"
#include "redis/script.h"

struct redis {
    int64_t last_rx_ms;
};

struct redis_reply {
    const char *error; /* NULL: fine */
};

static struct redis commands, subscriber;
static struct health *health;
static int64_t now_ms;
static int came_back;

/* Calls, in order, and who waits for their answers; the last one's script, channel and what it
 * publishes. */
enum { MOST_CALLS = 64 };
static struct {
    redis_done done;
    void *arg;
} calls[MOST_CALLS];
static unsigned asked, answered;
static const char *script;
static char command[64], payload[64];

/* --- What the probe calls --- */

int64_t clock_monotonic_ms(void)
{
    return now_ms;
}

int64_t clock_monotonic_us(void)
{
    return now_ms * 1000;
}

void metrics_add_lag(struct metrics *metrics, int64_t us)
{
    (void)metrics;
    assert_true(us >= 0 && us < 60000000);
    came_back++;
}

struct redis *commands_redis(const struct commands *made_with)
{
    (void)made_with;
    return NULL;
}

const char *redis_histories(struct redis *redis)
{
    (void)redis;
    return "";
}

int64_t redis_last_rx_ms(const struct redis *redis)
{
    return redis->last_rx_ms;
}

bool redis_reply_error(const struct redis_reply *reply, struct redis_error *out)
{
    if (reply == NULL || reply->error == NULL)
        return false;
    redis_error_read(reply->error, strlen(reply->error), out);
    return true;
}

void script_begin(struct script_call *call, const char *name)
{
    script = name;
    *call = (struct script_call){0};
}

void script_add_key(struct script_call *call, const char *key, size_t len)
{
    if (call->keys.count++ == 0)
        snprintf(command, sizeof command, "%s %.*s", script, (int)len, key);
}

void script_add(struct script_call *call, const char *argument)
{
    enum { PAYLOAD = 4 }; /* after what prelude.lua takes */
    if (call->words.count++ == PAYLOAD)
        snprintf(payload, sizeof payload, "%s", argument);
}

void script_add_number(struct script_call *call, uint64_t number)
{
    (void)number;
    call->words.count++;
}

int script_run(struct redis *redis, struct script_call *call, redis_done to_call, void *arg)
{
    (void)call;
    assert_ptr_equal(redis, &commands);
    assert_in_range(asked, 0, MOST_CALLS - 1);
    calls[asked].done = to_call;
    calls[asked++].arg = arg;
    return 0;
}

/* --- What happens to it --- */

static int make_probe(void **state)
{
    static const struct health_options options = {.commands = &commands,
                                                  .subscriber = &subscriber,
                                                  .channel = "channel",
                                                  .base = "base",
                                                  .keeps = true};
    (void)state;
    now_ms = 1000000;
    commands.last_rx_ms = subscriber.last_rx_ms = now_ms - 1;
    came_back = 0;
    asked = answered = 0;
    command[0] = '\0';
    health = health_new(&options);
    health_send_probe(health);
    return 0;
}

static int free_probe(void **state)
{
    (void)state;
    health_free(health);
    return 0;
}

/* The reply to the oldest call; NULL when its deadline passed. */
static void answer(const struct redis_reply *reply)
{
    assert_string_equal(command, "probe channel");
    assert_true(answered < asked);
    if (reply != NULL)
        commands.last_rx_ms = now_ms;
    unsigned number = answered++;
    calls[number].done(calls[number].arg, reply);
}

static void come_back(void)
{
    subscriber.last_rx_ms = now_ms;
    health_take_probe(health, payload);
}

static const struct redis_reply fine;

static void go_round(void)
{
    while (answered < asked)
        answer(&fine);
    come_back();
}

/* For so many seconds, with a tick at each; is Redis kept all the time? */
static bool lasts(int seconds)
{
    bool kept = true;
    for (int i = 0; i < seconds; i++) {
        now_ms += 1000;
        kept &= health_tick(health);
    }
    return kept;
}

/* --- Tests --- */

static void
test_health_is_ok_once_a_probe_comes_back_and_the_next_is_sent_after_two_seconds(void **state)
{
    (void)state;
    assert_false(health_is_ok(health));
    go_round();
    assert_true(health_is_ok(health));
    assert_int_equal(health_last_ok_ms(health), now_ms);
    command[0] = '\0';
    assert_true(lasts(1));
    assert_string_equal(command, "");
    assert_true(lasts(1));
    go_round();
    assert_int_equal(came_back, 2);
}

static void test_commands_that_say_nothing_are_given_up_after_five_seconds(void **state)
{
    (void)state;
    assert_true(lasts(5));
    assert_false(lasts(1));
}

/* A node of a cluster that answers, and cannot do anything, is connected to again and is no other.
 */
static void test_what_is_given_up_has_as_long_once_more(void **state)
{
    (void)state;
    assert_true(lasts(5));
    assert_false(lasts(1));
    assert_true(lasts(1));
    assert_int_equal(asked, 2);
    assert_true(lasts(5));
    assert_false(lasts(1));
    answer(&fine); /* to the first, late */
    assert_true(lasts(1));
    go_round();
    assert_true(health_is_ok(health));
}

static void test_the_time_in_which_this_process_was_held_up_does_not_count(void **state)
{
    (void)state;
    assert_true(lasts(1));
    now_ms += 8000; /* nobody ran, Redis neither */
    assert_true(health_tick(health));
    assert_true(lasts(5));
    assert_false(lasts(1));
}

static void test_a_slow_probe_is_waited_for_and_counts(void **state)
{
    (void)state;
    go_round();
    assert_true(lasts(6));
    assert_false(health_is_ok(health)); /* sent four seconds ago */
    answer(&fine);
    assert_true(lasts(4)); /* now it is the subscriber that has to send something */
    come_back();
    assert_int_equal(came_back, 2);
    assert_true(health_is_ok(health));
}

static void test_a_subscriber_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    assert_true(lasts(4));
    answer(&fine);
    assert_true(lasts(5)); /* only now it has to send something */
    assert_false(lasts(1));
}

static void test_a_subscriber_that_lags_behind_has_half_a_minute(void **state)
{
    (void)state;
    answer(&fine);
    for (int i = 0; i < 30; i++) {
        subscriber.last_rx_ms = now_ms;
        assert_true(lasts(1));
    }
    subscriber.last_rx_ms = now_ms;
    assert_false(lasts(1));
}

static void test_commands_that_talk_but_are_always_late_have_half_a_minute(void **state)
{
    (void)state;
    bool kept = true;
    int seconds = 0;
    for (; kept; seconds++) {
        commands.last_rx_ms = now_ms; /* of others */
        if (seconds % 5 == 4)
            answer(NULL);
        kept = lasts(1);
    }
    assert_int_equal(seconds, 31);
}

/* It sent something a moment after the first was sent, and never since: the second changes nothing.
 */
static void
test_a_second_probe_after_the_deadline_does_not_begin_the_five_seconds_again(void **state)
{
    (void)state;
    now_ms += 500;
    commands.last_rx_ms = now_ms;
    assert_true(lasts(4));
    now_ms += 500;
    answer(NULL);
    assert_true(health_tick(health));
    assert_false(lasts(1));
}

static void test_a_probe_that_nobody_awaits_shows_nothing(void **state)
{
    (void)state;
    health_reset(health);
    come_back();
    health_take_probe(health, "");
    assert_false(health_is_ok(health));
    health_send_probe(health);
    health_take_probe(health, "17");
    assert_int_equal(came_back, 0);
    go_round();
    come_back(); /* once more the same */
    assert_int_equal(came_back, 1);
}

static void test_a_probe_sent_instead_of_another_is_the_one_that_counts(void **state)
{
    (void)state;
    char first[64];
    snprintf(first, sizeof first, "%s", payload);
    health_send_probe(health);
    health_take_probe(health, first);
    assert_false(health_is_ok(health));
    go_round();
    assert_true(health_is_ok(health));
}

/* The first one was still let in, the second no more. */
static void test_a_refusal_is_noted_although_an_earlier_one_was_answered_meanwhile(void **state)
{
    (void)state;
    static const struct redis_reply replica = {
        "READONLY You can't write against a read only replica."};
    health_send_probe(health);
    answer(&fine);
    assert_null(health_why_refused(health));
    answer(&replica);
    assert_non_null(strstr(health_why_refused(health), "Redis takes no writes: READONLY"));
}

static void test_when_somebody_was_refused_something_the_next_probe_is_sent_at_once(void **state)
{
    (void)state;
    go_round();
    health_probe_soon(health);
    assert_true(lasts(1));
    assert_int_equal(asked, 2);
    health_probe_soon(health); /* one is under way */
    assert_true(lasts(1));
    assert_int_equal(asked, 2);
    go_round();
    assert_true(lasts(1));
    assert_int_equal(asked, 3);
}

static void test_what_redis_repeats_of_a_command_is_left_out(void **state)
{
    (void)state;
    static const struct redis_reply renamed = {
        "ERR unknown command 'EVALSHA', with args beginning with: 'a secret' "};
    answer(&renamed);
    assert_string_equal(health_why_refused(health),
                        "Redis refuses what people need: ERR unknown command 'EVALSHA'");
}

static void test_a_redis_that_takes_no_writes_says_why_and_is_asked_again(void **state)
{
    (void)state;
    static const struct redis_reply full = {"OOM command not allowed"};
    answer(&full);
    assert_non_null(strstr(health_why_refused(health), "OOM command not allowed"));
    assert_false(health_is_ok(health));
    assert_true(lasts(2));
    go_round();
    assert_null(health_why_refused(health));
    assert_true(health_is_ok(health));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_probe, free_probe)
    const struct CMUnitTest tests[] = {
        TEST(test_health_is_ok_once_a_probe_comes_back_and_the_next_is_sent_after_two_seconds),
        TEST(test_commands_that_say_nothing_are_given_up_after_five_seconds),
        TEST(test_what_is_given_up_has_as_long_once_more),
        TEST(test_the_time_in_which_this_process_was_held_up_does_not_count),
        TEST(test_a_slow_probe_is_waited_for_and_counts),
        TEST(test_a_subscriber_that_says_nothing_is_given_up),
        TEST(test_a_subscriber_that_lags_behind_has_half_a_minute),
        TEST(test_commands_that_talk_but_are_always_late_have_half_a_minute),
        TEST(test_a_second_probe_after_the_deadline_does_not_begin_the_five_seconds_again),
        TEST(test_a_probe_that_nobody_awaits_shows_nothing),
        TEST(test_a_probe_sent_instead_of_another_is_the_one_that_counts),
        TEST(test_a_refusal_is_noted_although_an_earlier_one_was_answered_meanwhile),
        TEST(test_when_somebody_was_refused_something_the_next_probe_is_sent_at_once),
        TEST(test_what_redis_repeats_of_a_command_is_left_out),
        TEST(test_a_redis_that_takes_no_writes_says_why_and_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
