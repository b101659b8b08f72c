/* What members said is acknowledged when a replica has it. */
#include "unit.h"

#include "broker/durability.h"
#include "publish_world.h"
#include "redis_stage.h"

enum { IN_CALL = 128 };

#define INFO_OF(run_id, history) "'run_id:" run_id "\r\nmaster_replid:" history "\r\n'"

static struct fake_redis_call *await_wait(void)
{
    return fake_redis_await(stage.fake, "WAIT");
}

static size_t count_waits(void)
{
    fake_redis_settle(stage.fake);
    return fake_redis_count(stage.fake, "WAIT");
}

/* Somebody says it, and Redis has accepted it as number `seq`. */
static void say_accepted(struct topic *room, const char *who, unsigned seq)
{
    say(room, who);
    fake_redis_answer(await(), "[%u]", seq);
    fake_redis_settle(stage.fake);
}

/* Then WAIT is answered like this. */
static void say_and_wait(const char *who, unsigned seq, const char *answer)
{
    say_accepted(tea(), who, seq);
    fake_redis_answer(await_wait(), "%s", answer);
}

/* The connection that asks replicas has asked for the history so often: when it was made, and with
 * each WAIT. */
static void await_histories(unsigned count)
{
    while (count > 0) {
        const struct fake_redis_call *info = fake_redis_await(stage.fake, "INFO");
        const char *section = fake_redis_argument(info, 1);
        count -= section != NULL && strcmp(section, "replication") == 0;
    }
    fake_redis_settle(stage.fake);
}

/* --- Confirmed, or not --- */

static void test_what_is_said_is_told_when_a_replica_has_it(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 7);
    assert_string_equal(told(), "");
    struct fake_redis_call *write = fake_redis_await(stage.fake, "SET");
    struct fake_redis_call *wait = await_wait();
    assert_string_equal(fake_redis_argument(write, 1), "yukizuri:gateway:one:kept");
    assert_string_equal(fake_redis_argument(write, 3), "EX");
    assert_true(fake_redis_came_before(write, wait));
    assert_string_equal(fake_redis_argument(wait, 1), "1");
    assert_string_equal(fake_redis_argument(wait, 2), "1000");
    fake_redis_answer(wait, "1");
    assert_string_equal(told(), "a:7");
    assert_int_equal(stage.metrics.replica_waits, 1);
    assert_int_equal(stage.metrics.replica_waits_failed, 0);
    assert_int_equal(stage.metrics.replica_wait.count, 1);
}

static void test_what_no_replica_has_in_time_is_not_known(void **state)
{
    (void)state;
    say_and_wait("a", 7, "0");
    assert_string_equal(told(), "a:none");
    assert_int_equal(stage.metrics.replica_waits_failed, 1);
    say_accepted(tea(), "a", 7); /* it is repeated */
    assert_string_equal(told(), "");
    fake_redis_answer(await_wait(), "2");
    assert_string_equal(told(), "a:7");
}

static void test_a_redis_that_has_become_a_replica_confirms_nothing(void **state)
{
    (void)state;
    fake_redis_always(stage.fake, "SET", "-READONLY You can't write against a read only replica.");
    say_and_wait("a", 1, "1");
    assert_string_equal(told(), "a:none");
    fake_redis_run_until(stage.fake, is_up, NULL);
    await_histories(3);
    fake_redis_always(stage.fake, "SET", "+OK");
    say_and_wait("b", 2, "-UNBLOCKED force unblock from blocking operation");
    assert_string_equal(told(), "b:none");
}

/* It would be about what was written before. */
static void test_a_wait_behind_a_refused_write_confirms_nothing(void **state)
{
    (void)state;
    fake_redis_always(stage.fake, "SET", "-OOM command not allowed");
    say_and_wait("a", 1, "1");
    assert_string_equal(told(), "a:none");
    assert_int_equal(stage.metrics.replica_waits_failed, 1);
}

static void test_a_wait_that_redis_refuses_confirms_nothing(void **state)
{
    (void)state;
    say_and_wait("a", 1, "-NOPERM this user has no permissions");
    assert_string_equal(told(), "a:none");
    assert_true(is_up(NULL));
}

/* --- Many share a WAIT --- */

static void test_what_is_answered_in_an_iteration_shares_a_wait(void **state)
{
    (void)state;
    say(tea(), "a");
    say(cafe(), "b");
    struct fake_redis_call *first = await();
    fake_redis_answer(await(), "[2]");
    fake_redis_answer(first, "[1]");
    assert_int_equal(count_waits(), 1);
    fake_redis_answer(await_wait(), "1");
    assert_string_equal(told(), "a:1 b:2");
}

static void test_what_is_answered_during_a_wait_collects_for_the_next_one(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    struct fake_redis_call *wait = await_wait();
    say_accepted(tea(), "b", 2);
    say_accepted(cafe(), "c", 3);
    say_accepted(tea(), "d", 4);
    assert_int_equal(count_waits(), 1);
    fake_redis_answer(wait, "1");
    assert_string_equal(told(), "a:1");
    assert_int_equal(count_waits(), 2);
    fake_redis_answer(await_wait(), "1");
    assert_string_equal(told(), "b:2 c:3 d:4");
    assert_int_equal(count_waits(), 2);
}

static void test_what_collects_is_not_known_when_the_next_wait_fails(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    struct fake_redis_call *wait = await_wait();
    say_accepted(tea(), "b", 2);
    fake_redis_answer(wait, "1");
    fake_redis_answer(await_wait(), "0");
    assert_string_equal(told(), "a:1 b:none");
}

static void test_answers_are_told_in_order_refusals_among_them(void **state)
{
    static const char answer[] = "*2\r\n:1\r\n-OTHEREPOCH another one\r\n";
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    fake_redis_answer_bytes(await(), answer, sizeof answer - 1);
    struct fake_redis_call *wait = await_wait();
    say(tea(), "c");
    fake_redis_answer(await(), "-OOM command not allowed");
    assert_string_equal(told(), "");
    fake_redis_answer(wait, "1");
    fake_redis_settle(stage.fake);
    fake_redis_answer(await_wait(), "0"); /* c waits for nothing but those before it */
    assert_string_equal(told(), "a:1 b:OTHEREPOCH another one c:OOM command not allowed");
}

static void test_a_refusal_behind_nothing_is_told_at_once(void **state)
{
    (void)state;
    say(tea(), "a");
    fake_redis_answer(await(), "-OOM command not allowed");
    assert_string_equal(told(), "a:OOM command not allowed");
    assert_int_equal(count_waits(), 0);
}

static void test_nothing_else_waits_meanwhile(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    struct fake_redis_call *wait = await_wait();
    leave(tea(), "left");
    fake_redis_answer(fake_redis_await(stage.fake, "leave"), "'gone'");
    assert_string_equal(told(), "left:gone");
    fake_redis_answer(wait, "1");
    assert_string_equal(told(), "a:1");
}

static size_t confirmed, unknown;

static void count_told(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    *(reply == NULL ? &unknown : &confirmed) += 1;
}

static void say_a_call(void)
{
    static char list[IN_CALL * 2 + 2];
    const struct publish_batch_say what = {.id = "ID", .body = "x", .body_len = 1};
    for (size_t i = 0; i < IN_CALL; i++) {
        commands_say(tea(), &what, count_told, NULL);
        memcpy(list + 2 * i, i == 0 ? "[1" : ",1", 2);
    }
    list[2 * (size_t)IN_CALL] = ']';
    fake_redis_answer(await(), "%s", list);
}

static void test_what_waits_has_a_bound(void **state)
{
    (void)state;
    confirmed = unknown = 0;
    for (size_t says = 0; says <= DURABILITY_MOST_SAYS; says += IN_CALL)
        say_a_call();
    fake_redis_settle(stage.fake);
    assert_int_equal(unknown, IN_CALL);
    assert_int_equal(confirmed, 0);
    fake_redis_always(stage.fake, "WAIT", "1");
    fake_redis_answer(await_wait(), "1");
    fake_redis_settle(stage.fake);
    assert_int_equal(confirmed, DURABILITY_MOST_SAYS);
    assert_int_equal(unknown, IN_CALL);
}

/* --- The same Redis, and the same history --- */

static void test_another_history_confirms_only_what_was_sent_since_it_is_known(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    struct fake_redis_call *wait = await_wait();
    say_accepted(tea(), "b", 2);
    fake_redis_always(stage.fake, "INFO", INFO_OF("fake", "second"));
    fake_redis_drop(stage.fake, FAKE_COMMANDS); /* its answer was on its way with the old one */
    assert_string_equal(told(), "a:none b:none");
    assert_false(fake_redis_is_answered(wait));
    fake_redis_run_until(stage.fake, is_up, NULL);
    await_histories(3);
    say_and_wait("c", 3, "1");
    assert_string_equal(told(), "c:3");
}

static void test_a_history_that_changes_meanwhile_confirms_nothing(void **state)
{
    (void)state;
    fake_redis_always(stage.fake, "INFO", NULL);
    say_and_wait("a", 1, "1");
    struct fake_redis_call *info;
    do /* what the start asked for comes first */
        info = fake_redis_await(stage.fake, "INFO");
    while (fake_redis_is_answered(info));
    say_accepted(tea(), "b", 2); /* of which history, nobody knows */
    fake_redis_answer(info, INFO_OF("fake", "second"));
    assert_string_equal(told(), "a:none");
    fake_redis_answer(await_wait(), "1");
    fake_redis_answer(fake_redis_await(stage.fake, "INFO"), INFO_OF("fake", "second"));
    assert_string_equal(told(), "b:none");
    say_and_wait("c", 3, "1");
    fake_redis_answer(fake_redis_await(stage.fake, "INFO"), INFO_OF("fake", "second"));
    assert_string_equal(told(), "c:3");
}

static void test_a_redis_that_does_not_say_who_it_is_confirms_nothing(void **state)
{
    (void)state;
    fake_redis_always(stage.fake, "INFO", "-NOPERM no");
    fake_redis_drop(stage.fake, FAKE_COMMANDS);
    fake_redis_run_until(stage.fake, is_down, NULL);
    fake_redis_run_until(stage.fake, is_up, NULL);
    fake_redis_settle(stage.fake);
    say_accepted(tea(), "a", 1);
    assert_string_equal(told(), "a:none");
    assert_int_equal(count_waits(), 0);
}

static void test_a_history_that_was_refused_once_is_asked_for_again(void **state)
{
    (void)state;
    fake_redis_always(stage.fake, "INFO", "-BUSY Redis is busy running a script.");
    say_accepted(tea(), "a", 1);
    fake_redis_answer(await_wait(), "1");
    assert_string_equal(told(), "a:none");
    say_accepted(tea(), "b", 2);
    assert_string_equal(told(), "b:none");
    fake_redis_always(stage.fake, "INFO", INFO_OF("fake", "first"));
    broker_tick(stage.broker);
    fake_redis_settle(stage.fake);
    say_accepted(tea(), "c", 3);
    fake_redis_answer(await_wait(), "1");
    assert_string_equal(told(), "c:3");
}

/* --- The end --- */

static void test_when_the_connection_is_lost_all_who_wait_are_told_in_order(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    await_wait();
    say_accepted(cafe(), "b", 2);
    say(tea(), "c");
    await();
    fake_redis_set_away(stage.fake, true);
    fake_redis_run_until(stage.fake, is_down, NULL);
    assert_string_equal(told(), "a:none b:none c:none");
}

static void test_a_stop_tells_all_who_wait(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    await_wait();
    say_accepted(cafe(), "b", 2);
    say(tea(), "c");
    await();
    say(tea(), "d");
    stop();
    assert_string_equal(redis_stage_told(), "d:none a:none b:none c:none");
}

static void test_without_the_setting_nobody_waits_for_a_replica(void **state)
{
    (void)state;
    say_accepted(tea(), "a", 1);
    assert_string_equal(told(), "a:1");
    assert_int_equal(count_waits(), 0);
    assert_int_equal(fake_redis_count(stage.fake, "SET"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_durable_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_said_is_told_when_a_replica_has_it),
        TEST(test_what_no_replica_has_in_time_is_not_known),
        TEST(test_a_redis_that_has_become_a_replica_confirms_nothing),
        TEST(test_a_wait_behind_a_refused_write_confirms_nothing),
        TEST(test_a_wait_that_redis_refuses_confirms_nothing),
        TEST(test_what_is_answered_in_an_iteration_shares_a_wait),
        TEST(test_what_is_answered_during_a_wait_collects_for_the_next_one),
        TEST(test_what_collects_is_not_known_when_the_next_wait_fails),
        TEST(test_answers_are_told_in_order_refusals_among_them),
        TEST(test_a_refusal_behind_nothing_is_told_at_once),
        TEST(test_nothing_else_waits_meanwhile),
        TEST(test_what_waits_has_a_bound),
        TEST(test_another_history_confirms_only_what_was_sent_since_it_is_known),
        TEST(test_a_history_that_changes_meanwhile_confirms_nothing),
        TEST(test_a_redis_that_does_not_say_who_it_is_confirms_nothing),
        TEST(test_a_history_that_was_refused_once_is_asked_for_again),
        TEST(test_when_the_connection_is_lost_all_who_wait_are_told_in_order),
        TEST(test_a_stop_tells_all_who_wait),
        cmocka_unit_test_setup_teardown(test_without_the_setting_nobody_waits_for_a_replica,
                                        open_stage, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
