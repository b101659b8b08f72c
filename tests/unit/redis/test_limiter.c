/* Calls that can wait: few are under way at once, the others wait for permits. */
#include "unit.h"

#include "redis_stage.h"
#include "skipping_clock.h"

#include "redis/limiter.h"

static struct limiter *limiter;

static int open_stage(void **state)
{
    (void)state;
    redis_stage_open();
    limiter = NULL;
    return 0;
}

/* In the order in which a gateway does. */
static int close_stage(void **state)
{
    (void)state;
    redis_stage_stop();
    if (limiter != NULL)
        limiter_stop(limiter);
    limiter_free(limiter);
    redis_stage_close();
    return 0;
}

/* --- What this test knows of redis/limiter.h --- */

static void open_limiter(unsigned permits)
{
    limiter = limiter_new(redis_stage_connection(), permits);
}

/* Asks for a script with this key, which takes so many permits; who is told is "KEY". */
static int ask_with_permits(const char *key, unsigned permits)
{
    struct script_call call;
    script_begin(&call, "join");
    script_add_key(&call, key, strlen(key));
    return limiter_run(limiter, &call, permits, redis_stage_tell, (void *)(uintptr_t)key);
}

static int ask(const char *key)
{
    return ask_with_permits(key, 1);
}

static void make(void *key)
{
    if (ask(key) != 0)
        redis_stage_tell(key, NULL);
}

/* A call that is made only when it may be sent. */
static int enqueue(const char *key)
{
    return limiter_enqueue(limiter, key, make, (void *)(uintptr_t)key);
}

static void go(void)
{
    limiter_flush(limiter);
}

/* --- Helpers --- */

static size_t count(void)
{
    redis_stage_settle();
    return fake_redis_count(redis_stage_fake(), "join");
}

/* The next call that reaches Redis is this one. */
static struct fake_redis_call *await(const char *key)
{
    struct fake_redis_call *call = fake_redis_await(redis_stage_fake(), "join");
    assert_string_equal(fake_redis_key(call, 1), key);
    return call;
}

static void answer(const char *key)
{
    fake_redis_answer(await(key), "1");
}

static const char *told(void)
{
    redis_stage_settle();
    return redis_stage_told();
}

/* --- Order and bound --- */

static void test_no_more_than_so_many_are_under_way_and_the_others_go_in_order(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    (void)state;
    open_limiter(2);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(ask(keys[i]), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(count(), i < 4 ? i + 2 : 6);
        assert_int_equal(limiter_is_congested(limiter), i < 4);
        answer(keys[i]);
    }
    assert_string_equal(told(), "a:1 b:1 c:1 d:1 e:1 f:1");
}

static void test_at_rest_a_call_goes_out_by_itself(void **state)
{
    (void)state;
    open_limiter(2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask("a"), 0);
        answer("a");
        assert_string_equal(told(), "a:1");
        assert_false(limiter_is_congested(limiter));
    }
}

static void test_an_error_lets_the_next_go_as_an_answer_does(void **state)
{
    (void)state;
    open_limiter(1);
    ask("a");
    ask("b");
    ask("c");
    fake_redis_answer(await("a"), "-OOM command not allowed");
    answer("b");
    answer("c");
    assert_string_equal(told(), "a:OOM command not allowed b:1 c:1");
}

/* A call that is repeated stays the one it was. */
static void test_a_script_that_redis_does_not_know_keeps_its_place(void **state)
{
    (void)state;
    open_limiter(1);
    ask("a");
    ask("b");
    fake_redis_answer(await("a"), "-NOSCRIPT No matching script.");
    answer("a");
    answer("b");
    assert_string_equal(told(), "a:1 b:1");
}

static void ask_next(void *key, const struct redis_reply *reply)
{
    redis_stage_tell(key, reply);
    ask("next");
}

static void test_who_asks_again_from_within_its_answer_waits_behind_the_others(void **state)
{
    struct script_call call;
    (void)state;
    open_limiter(1);
    script_begin(&call, "join");
    script_add_key(&call, "a", 1);
    limiter_run(limiter, &call, 1, ask_next, "a");
    ask("b");
    answer("a");
    answer("b");
    answer("next");
    assert_string_equal(told(), "a:1 b:1 next:1");
}

/* --- Weight --- */

static void test_a_call_takes_its_permits(void **state)
{
    (void)state;
    open_limiter(4);
    ask_with_permits("a", 3);
    ask_with_permits("b", 3); /* one was free */
    ask_with_permits("c", 1);
    assert_int_equal(count(), 2);
    answer("a");
    assert_int_equal(count(), 3);
    answer("b");
    answer("c");
    assert_string_equal(told(), "a:1 b:1 c:1");
}

static void test_a_call_that_takes_more_permits_than_there_are_goes_alone(void **state)
{
    (void)state;
    open_limiter(2);
    ask_with_permits("a", 100);
    ask("b");
    ask("c");
    assert_int_equal(count(), 1);
    answer("a");
    assert_int_equal(count(), 3);
    answer("b");
    answer("c");
    assert_string_equal(told(), "a:1 b:1 c:1");
}

/* --- Calls that are still to be made --- */

static void test_an_enqueued_call_is_made_when_it_may_be_sent_and_not_before(void **state)
{
    (void)state;
    open_limiter(1);
    assert_int_equal(enqueue("a"), 0);
    assert_int_equal(enqueue("b"), 0);
    assert_true(limiter_is_congested(limiter));
    assert_int_equal(count(), 0);
    go();
    assert_int_equal(count(), 1);
    go();
    assert_int_equal(count(), 1);
    answer("a");
    answer("b");
    assert_string_equal(told(), "a:1 b:1");
    assert_false(limiter_is_congested(limiter));
}

static void test_an_enqueued_call_is_not_overtaken(void **state)
{
    (void)state;
    open_limiter(2);
    enqueue("a");
    ask("b"); /* though nothing is under way */
    enqueue("c");
    ask("d");
    assert_int_equal(count(), 0);
    go();
    assert_int_equal(count(), 2);
    answer("a");
    answer("b");
    answer("c");
    answer("d");
    assert_string_equal(told(), "a:1 b:1 c:1 d:1");
}

static void make_nothing(void *who)
{
    redis_stage_tell(who, NULL);
}

static void test_whoever_makes_no_call_when_it_may_holds_up_nobody(void **state)
{
    (void)state;
    open_limiter(1);
    limiter_enqueue(limiter, "a", make_nothing, "a");
    enqueue("b");
    go();
    answer("b");
    assert_string_equal(told(), "a:none b:1");
}

/* --- Without Redis --- */

static void test_without_a_connection_nothing_is_enqueued(void **state)
{
    (void)state;
    open_limiter(1);
    redis_stage_lose();
    assert_int_equal(ask("a"), -1);
    assert_int_equal(enqueue("b"), -1);
    assert_string_equal(told(), "");
    redis_stage_come_back();
    assert_int_equal(ask("c"), 0);
    answer("c");
    assert_string_equal(told(), "c:1");
    assert_int_equal(count(), 1);
}

static void test_when_the_connection_is_lost_all_are_told_once_and_in_order(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    (void)state;
    open_limiter(2);
    for (size_t i = 0; i < 5; i++)
        ask(keys[i]);
    await("a");
    await("b");
    redis_stage_lose();
    assert_string_equal(told(), "a:none b:none c:none d:none e:none");
    redis_stage_come_back();
    assert_string_equal(told(), "");
    ask("f");
    answer("f");
    assert_string_equal(told(), "f:1");
}

static void test_an_enqueued_call_is_made_once_when_the_connection_is_lost(void **state)
{
    (void)state;
    open_limiter(1);
    ask("a");
    enqueue("b");
    await("a");
    redis_stage_lose();
    assert_string_equal(told(), "a:none b:none");
    redis_stage_come_back();
    go();
    assert_string_equal(told(), "");
    assert_int_equal(count(), 1);
}

static void test_a_limiter_that_is_stopped_tells_all_who_wait_from_within(void **state)
{
    (void)state;
    open_limiter(1);
    ask("a");
    ask("b");
    ask("c");
    await("a");
    redis_stage_stop();
    limiter_stop(limiter);
    assert_string_equal(redis_stage_told(), "a:none b:none c:none");
    assert_false(limiter_is_congested(limiter));
}

/* Nothing is under way whose answer would let the next go. */
static void
test_a_limiter_that_is_stopped_before_its_first_iteration_tells_all_who_wait(void **state)
{
    (void)state;
    open_limiter(1);
    enqueue("a");
    ask("b");
    enqueue("c");
    redis_stage_stop();
    limiter_stop(limiter);
    assert_string_equal(redis_stage_told(), "a:none b:none c:none");
    assert_false(limiter_is_congested(limiter));
}

/* --- A Redis that does not answer --- */

/* It takes as long as the deadline: the timers of the event loop are no test's. */
static void
test_those_who_have_waited_as_long_as_one_without_an_answer_get_none_either(void **state)
{
    (void)state;
    open_limiter(1);
    ask("a");
    ask("b");
    enqueue("c");
    ask("d");
    struct fake_redis_call *unanswered = await("a");
    clock_skip_ms(REDIS_DEADLINE_MS - 1);
    ask("late");
    clock_skip_ms(2);
    assert_string_equal(redis_stage_await_told(), "a:none b:none d:none");
    fake_redis_answer(unanswered, "1"); /* nobody's any more */
    answer("c");                        /* it has been made only now */
    answer("late");
    assert_string_equal(told(), "c:1 late:1");
    assert_int_equal(count(), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_more_than_so_many_are_under_way_and_the_others_go_in_order),
        TEST(test_at_rest_a_call_goes_out_by_itself),
        TEST(test_an_error_lets_the_next_go_as_an_answer_does),
        TEST(test_a_script_that_redis_does_not_know_keeps_its_place),
        TEST(test_who_asks_again_from_within_its_answer_waits_behind_the_others),
        TEST(test_a_call_takes_its_permits),
        TEST(test_a_call_that_takes_more_permits_than_there_are_goes_alone),
        TEST(test_an_enqueued_call_is_made_when_it_may_be_sent_and_not_before),
        TEST(test_an_enqueued_call_is_not_overtaken),
        TEST(test_whoever_makes_no_call_when_it_may_holds_up_nobody),
        TEST(test_without_a_connection_nothing_is_enqueued),
        TEST(test_when_the_connection_is_lost_all_are_told_once_and_in_order),
        TEST(test_an_enqueued_call_is_made_once_when_the_connection_is_lost),
        TEST(test_a_limiter_that_is_stopped_tells_all_who_wait_from_within),
        TEST(test_a_limiter_that_is_stopped_before_its_first_iteration_tells_all_who_wait),
        TEST(test_those_who_have_waited_as_long_as_one_without_an_answer_get_none_either),
    };
    clock_stop();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
