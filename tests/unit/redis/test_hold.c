/* Commands that wait for a server (redis_hold): with a scripted Redis. */
#include "redis_stage.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static void ask(const char *who)
{
    int sent = redis_send_strings(redis_stage_connection(), redis_stage_tell, (void *)who, "ECHO",
                                  who, NULL);
    assert_int_equal(sent, 0);
}

static size_t count_asked(void)
{
    return fake_redis_count(redis_stage_fake(), "ECHO");
}

static void answer(const char *who)
{
    struct fake_redis_call *call = fake_redis_await(redis_stage_fake(), "ECHO");
    assert_string_equal(fake_redis_argument(call, 1), who);
    fake_redis_answer(call, "'%s'", who);
}

static void test_what_is_held_is_not_sent_before_it_is_released_and_then_in_order(void **state)
{
    (void)state;
    redis_stage_open();
    redis_hold(redis_stage_connection());
    ask("a");
    ask("b");
    redis_stage_settle();
    assert_int_equal(count_asked(), 0);
    assert_true(redis_release(redis_stage_connection()));
    assert_false(redis_release(redis_stage_connection()));
    ask("c");
    answer("a");
    answer("b");
    answer("c");
    redis_stage_settle();
    assert_string_equal(redis_stage_told(), "a:a b:b c:c");
    redis_stage_close();
}

static void
test_what_was_sent_before_is_answered_and_what_is_held_goes_over_the_next_one(void **state)
{
    (void)state;
    redis_stage_open();
    ask("sent");
    redis_stage_settle();
    redis_hold(redis_stage_connection());
    ask("held");
    fake_redis_set_away(redis_stage_fake(), true);
    assert_string_equal(redis_stage_await_told(), "sent:none");
    assert_true(redis_is_ready(redis_stage_connection())); /* it takes commands */
    ask("later");
    fake_redis_await(redis_stage_fake(), "ECHO"); /* the one that was sent */
    fake_redis_set_away(redis_stage_fake(), false);
    answer("held");
    answer("later");
    redis_stage_settle();
    assert_string_equal(redis_stage_told(), "held:held later:later");
    assert_false(redis_release(redis_stage_connection()));
    redis_stage_close();
}

static void leave_once(struct redis *redis)
{
    redis_stage_when_ready(NULL);
    redis_reconnect(redis, "it is not the one");
}

static void test_what_is_held_waits_on_when_the_next_one_is_left_at_once(void **state)
{
    (void)state;
    redis_stage_open();
    redis_hold(redis_stage_connection());
    ask("held");
    redis_stage_when_ready(leave_once);
    fake_redis_drop(redis_stage_fake(), FAKE_ALL);
    answer("held");
    redis_stage_settle();
    assert_string_equal(redis_stage_told(), "held:held");
    assert_false(redis_is_held(redis_stage_connection()));
    redis_stage_close();
}

static void
test_without_a_connection_a_release_tells_everybody_that_no_answer_will_come(void **state)
{
    (void)state;
    redis_stage_open();
    redis_stage_lose();
    redis_hold(redis_stage_connection());
    ask("a");
    ask("b");
    assert_true(redis_release(redis_stage_connection()));
    assert_string_equal(redis_stage_told(), ""); /* not from within */
    redis_stage_settle();
    assert_string_equal(redis_stage_told(), "a:none b:none");
    assert_false(redis_is_ready(redis_stage_connection()));
    redis_stage_close();
}

static void test_who_is_held_back_is_told_when_the_connection_is_stopped(void **state)
{
    (void)state;
    redis_stage_open();
    redis_hold(redis_stage_connection());
    ask("a");
    redis_mark_optional(redis_stage_connection());
    redis_stage_stop();
    assert_string_equal(redis_stage_told(), "a:none");
    redis_stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_held_is_not_sent_before_it_is_released_and_then_in_order),
        cmocka_unit_test(
            test_what_was_sent_before_is_answered_and_what_is_held_goes_over_the_next_one),
        cmocka_unit_test(test_what_is_held_waits_on_when_the_next_one_is_left_at_once),
        cmocka_unit_test(
            test_without_a_connection_a_release_tells_everybody_that_no_answer_will_come),
        cmocka_unit_test(test_who_is_held_back_is_told_when_the_connection_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
