/* What comes of a call that carries what members said: answers, errors, and no Redis. */
#include "unit.h"

#include "publish_world.h"
#include "redis_stage.h"

/* --- Answers --- */

static void test_an_error_of_one_is_told_to_this_one_alone(void **state)
{
    static const char answer[] = "*3\r\n:1\r\n-OTHEREPOCH another one\r\n:2\r\n";
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    say(tea(), "c");
    fake_redis_answer_bytes(await(), answer, sizeof answer - 1);
    assert_string_equal(told(), "a:1 b:OTHEREPOCH another one c:2");
}

static void test_an_error_of_the_call_is_told_to_all_who_are_in_it(void **state)
{
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    say(cafe(), "c");
    struct fake_redis_call *first = await();
    fake_redis_answer(await(), "[7]");
    fake_redis_answer(first, "-OOM command not allowed");
    assert_string_equal(told(), "a:OOM command not allowed b:OOM command not allowed c:7");
}

static void test_an_answer_of_another_form_leaves_nobody_waiting(void **state)
{
    static const char *const answers[] = {"[]", "7", "null", "'x'", "['x']", "[1, 2, 3]", "+OK"};
    static const char *const expected[] = {
        "a:none b:none", "a:none b:none", "a:none b:none", "a:none b:none",
        "a:x b:none",    "a:1 b:2",       "a:none b:none",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        say(tea(), "a");
        say(tea(), "b");
        fake_redis_answer(await(), "%s", answers[i]);
        assert_string_equal(told(), expected[i]);
    }
}

static void test_a_script_that_redis_does_not_know_is_repeated_with_all_that_was_said(void **state)
{
    (void)state;
    say(tea(), "a");
    say_with_nonce(tea(), "ID", "n", "b");
    fake_redis_answer(await(), "-NOSCRIPT No matching script.");
    struct fake_redis_call *again = await();
    assert_string_equal(bodies(again), "a b");
    assert_string_equal(fake_redis_key(again, KEYS + 1), "yukizuri:{tea}:nonces:ID");
    fake_redis_answer(again, "[1, 2]");
    assert_string_equal(told(), "a:1 b:2");
}

static void say_more(void *who, const struct redis_reply *reply)
{
    redis_stage_tell(who, reply);
    say(tea(), "more");
}

static void test_what_is_said_from_within_an_answer_goes_in_a_call_of_its_own(void **state)
{
    const struct publish_batch_say what = {.id = "ID", .body = "a", .body_len = 1};
    (void)state;
    commands_say(tea(), &what, say_more, "a");
    commands_say(tea(), &what, say_more, "b");
    fake_redis_answer(await(), "[1, 2]");
    struct fake_redis_call *call = await();
    assert_string_equal(bodies(call), "more more");
    fake_redis_answer(call, "[3, 4]");
    assert_string_equal(told(), "a:1 b:2 more:3 more:4");
}

/* --- Without Redis --- */

static void lose(void)
{
    fake_redis_set_away(stage.fake, true);
    fake_redis_run_until(stage.fake, is_down, NULL);
}

static void come_back(void)
{
    fake_redis_set_away(stage.fake, false);
    fake_redis_run_until(stage.fake, is_up, NULL);
}

static void test_without_a_connection_nothing_is_taken_and_nobody_told(void **state)
{
    (void)state;
    lose();
    assert_int_equal(say(tea(), "a"), -1);
    assert_string_equal(told(), "");
    come_back();
    assert_int_equal(count(), 0);
    assert_int_equal(say(tea(), "b"), 0);
    fake_redis_answer(await(), "[1]");
    assert_string_equal(told(), "b:1");
}

/* Nobody knows whether it was accepted: it is not said again by itself. */
static void test_when_the_connection_is_lost_all_who_wait_are_told_once_and_in_order(void **state)
{
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    await();
    say(cafe(), "c");
    await();
    lose();
    assert_string_equal(told(), "a:none b:none c:none");
    come_back();
    assert_int_equal(count(), 2);
    assert_string_equal(told(), "");
}

static void test_what_is_said_in_the_iteration_that_loses_the_connection_is_told(void **state)
{
    (void)state;
    say(tea(), "a");
    await();
    say(tea(), "b");
    say(cafe(), "c");
    lose();
    assert_string_equal(told(), "a:none b:none c:none");
    come_back();
    say(tea(), "d");
    struct fake_redis_call *call;
    do /* what has left before the end has been asked, as far as Redis knows */
        call = await();
    while (strcmp(bodies(call), "d") != 0);
    fake_redis_answer(call, "[1]");
    assert_string_equal(told(), "d:1");
}

static void test_what_finds_no_connection_when_it_is_to_be_sent_is_told_in_order(void **state)
{
    (void)state;
    say(tea(), "a");
    say(cafe(), "b");
    say(tea(), "c");
    drop();
    assert_int_equal(say(tea(), "d"), -1);
    flush();
    assert_string_equal(redis_stage_told(), ""); /* never from within */
    assert_string_equal(told(), "a:none c:none b:none");
    fake_redis_run_until(stage.fake, is_up, NULL);
    assert_int_equal(count(), 0);
}

static void test_a_stop_tells_all_who_wait_from_within_what_was_not_sent_first(void **state)
{
    (void)state;
    say(tea(), "under way");
    await();
    say(tea(), "a");
    say(cafe(), "b");
    say(tea(), "c");
    stop();
    assert_string_equal(redis_stage_told(), "a:none c:none b:none under way:none");
}

static void test_a_stop_with_nobody_waiting_tells_nobody(void **state)
{
    (void)state;
    say(tea(), "a");
    fake_redis_answer(await(), "[1]");
    assert_string_equal(told(), "a:1");
    stop();
    assert_string_equal(redis_stage_told(), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_error_of_one_is_told_to_this_one_alone),
        TEST(test_an_error_of_the_call_is_told_to_all_who_are_in_it),
        TEST(test_an_answer_of_another_form_leaves_nobody_waiting),
        TEST(test_a_script_that_redis_does_not_know_is_repeated_with_all_that_was_said),
        TEST(test_what_is_said_from_within_an_answer_goes_in_a_call_of_its_own),
        TEST(test_without_a_connection_nothing_is_taken_and_nobody_told),
        TEST(test_when_the_connection_is_lost_all_who_wait_are_told_once_and_in_order),
        TEST(test_what_is_said_in_the_iteration_that_loses_the_connection_is_told),
        TEST(test_what_finds_no_connection_when_it_is_to_be_sent_is_told_in_order),
        TEST(test_a_stop_tells_all_who_wait_from_within_what_was_not_sent_first),
        TEST(test_a_stop_with_nobody_waiting_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
