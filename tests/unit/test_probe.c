/* The probe with a clock and two connections that this test has in its hands. */
#include "unit.h"

#include "clock.h"
#include "probe.h"

struct redis {
    int64_t heard_ms;
};

struct redis_reply {
    const char *error; /* NULL: fine */
};

static struct redis commands, subscriber;
static struct probe *probe;
static int64_t now_ms;
static int came_back;

/* The last command, and who waits for its answer. */
static char command[64], word[64];
static redis_done done;
static void *done_arg;

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

int64_t redis_heard_ms(const struct redis *redis)
{
    return redis->heard_ms;
}

bool redis_reply_is_error(const struct redis_reply *reply)
{
    return reply == NULL || reply->error != NULL;
}

const char *redis_reply_string(const struct redis_reply *reply, size_t *len)
{
    assert_null(len);
    return reply->error;
}

int redis_send_strings(struct redis *redis, redis_done to_call, void *arg, const char *first, ...)
{
    va_list words;
    assert_ptr_equal(redis, &commands);
    va_start(words, first);
    const char *target = va_arg(words, const char *);
    snprintf(command, sizeof command, "%s %s", first, target);
    snprintf(word, sizeof word, "%s", va_arg(words, const char *));
    va_end(words);
    done = to_call;
    done_arg = arg;
    return 0;
}

/* --- What happens to it --- */

static int make_probe(void **state)
{
    static const struct probe_options options = {&commands, &subscriber, "key", "channel", NULL};
    (void)state;
    now_ms = 1000000;
    commands.heard_ms = subscriber.heard_ms = now_ms - 1;
    came_back = 0;
    command[0] = '\0';
    probe = probe_new(&options);
    probe_send(probe);
    return 0;
}

static int free_probe(void **state)
{
    (void)state;
    probe_free(probe);
    return 0;
}

/* The reply to the last command; NULL when its deadline passed. */
static void answer(const char *expected, const struct redis_reply *reply)
{
    assert_string_equal(command, expected);
    if (reply != NULL)
        commands.heard_ms = now_ms;
    done(done_arg, reply);
}

static void come_back(void)
{
    subscriber.heard_ms = now_ms;
    probe_came(probe, word + strlen(PROBE_WORD));
}

static const struct redis_reply fine;

static void go_round(void)
{
    answer("SET key", &fine);
    answer("PUBLISH channel", &fine);
    come_back();
}

/* For so many seconds, with a tick at each; is Redis kept all the time? */
static bool lasts(int seconds)
{
    bool kept = true;
    for (int i = 0; i < seconds; i++) {
        now_ms += 1000;
        kept &= probe_tick(probe);
    }
    return kept;
}

/* --- Tests --- */

static void
test_one_that_comes_back_proves_the_way_and_the_next_is_sent_after_two_seconds(void **state)
{
    (void)state;
    assert_false(probe_flows(probe));
    go_round();
    assert_true(probe_flows(probe));
    assert_int_equal(probe_back_ms(probe), now_ms);
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

static void test_redis_was_given_up_because_this_process_had_been_held_up(void **state)
{
    (void)state;
    assert_true(lasts(1));
    now_ms += 8000; /* nobody ran, Redis neither */
    assert_true(probe_tick(probe));
    assert_true(lasts(5));
    assert_false(lasts(1));
}

static void test_a_slow_one_is_waited_for_and_counts(void **state)
{
    (void)state;
    go_round();
    assert_true(lasts(6));
    assert_false(probe_flows(probe)); /* sent four seconds ago */
    answer("SET key", &fine);
    assert_true(lasts(4));
    answer("PUBLISH channel", &fine);
    assert_true(lasts(4));
    come_back();
    assert_int_equal(came_back, 2);
    assert_true(probe_flows(probe));
}

static void test_a_subscriber_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    assert_true(lasts(4));
    answer("SET key", &fine);
    answer("PUBLISH channel", &fine);
    assert_true(lasts(5)); /* only now it owes something */
    assert_false(lasts(1));
}

static void test_a_subscriber_that_lags_behind_has_half_a_minute(void **state)
{
    (void)state;
    answer("SET key", &fine);
    answer("PUBLISH channel", &fine);
    for (int i = 0; i < 30; i++) {
        subscriber.heard_ms = now_ms;
        assert_true(lasts(1));
    }
    subscriber.heard_ms = now_ms;
    assert_false(lasts(1));
}

static void test_commands_that_talk_but_are_always_late_have_half_a_minute(void **state)
{
    (void)state;
    bool kept = true;
    int seconds = 0;
    for (; kept; seconds++) {
        commands.heard_ms = now_ms; /* of others */
        if (seconds % 5 == 4)
            answer("SET key", NULL);
        kept = lasts(1);
    }
    assert_int_equal(seconds, 31);
}

/* It was heard a moment after the first was sent, and never since: the second changes nothing. */
static void test_a_second_one_after_the_deadline_does_not_begin_the_five_seconds_anew(void **state)
{
    (void)state;
    now_ms += 500;
    commands.heard_ms = now_ms;
    assert_true(lasts(4));
    now_ms += 500;
    answer("SET key", NULL);
    assert_true(probe_tick(probe));
    assert_false(lasts(1));
}

static void test_what_nobody_awaits_proves_nothing(void **state)
{
    (void)state;
    probe_forget(probe);
    come_back();
    probe_came(probe, "");
    assert_false(probe_flows(probe));
    probe_send(probe);
    probe_came(probe, "17");
    assert_int_equal(came_back, 0);
    go_round();
    come_back(); /* once more the same */
    assert_int_equal(came_back, 1);
}

static void test_one_sent_instead_of_another_is_the_one_that_counts(void **state)
{
    (void)state;
    char first[64];
    snprintf(first, sizeof first, "%s", word + strlen(PROBE_WORD));
    answer("SET key", &fine);
    probe_send(probe);
    probe_came(probe, first);
    assert_false(probe_flows(probe));
    go_round();
    assert_true(probe_flows(probe));
}

static void test_a_redis_that_takes_no_writes_says_why_and_is_asked_again(void **state)
{
    (void)state;
    static const struct redis_reply full = {"OOM command not allowed"};
    answer("SET key", &full);
    assert_non_null(strstr(probe_refused(probe), "OOM command not allowed"));
    assert_false(probe_flows(probe));
    assert_true(lasts(2));
    go_round();
    assert_null(probe_refused(probe));
    assert_true(probe_flows(probe));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_probe, free_probe)
    const struct CMUnitTest tests[] = {
        TEST(test_one_that_comes_back_proves_the_way_and_the_next_is_sent_after_two_seconds),
        TEST(test_commands_that_say_nothing_are_given_up_after_five_seconds),
        TEST(test_redis_was_given_up_because_this_process_had_been_held_up),
        TEST(test_a_slow_one_is_waited_for_and_counts),
        TEST(test_a_subscriber_that_says_nothing_is_given_up),
        TEST(test_a_subscriber_that_lags_behind_has_half_a_minute),
        TEST(test_commands_that_talk_but_are_always_late_have_half_a_minute),
        TEST(test_a_second_one_after_the_deadline_does_not_begin_the_five_seconds_anew),
        TEST(test_what_nobody_awaits_proves_nothing),
        TEST(test_one_sent_instead_of_another_is_the_one_that_counts),
        TEST(test_a_redis_that_takes_no_writes_says_why_and_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
