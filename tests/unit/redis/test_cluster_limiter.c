/* Calls that can wait, where a cluster answers: one node does not hold up the rooms of others. */
#include "unit.h"

#include "cluster_stage.h"
#include "redis_stage.h"

#include "redis/limiter.h"

static struct limiter *limiter;

static int open_stage(void **state)
{
    (void)state;
    cluster_stage_start(false);
    limiter = limiter_new(cluster_stage_client(), 1);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    cluster_stage_stop();
    limiter_stop(limiter);
    limiter_free(limiter);
    cluster_stage_close();
    return 0;
}

static void ask(const char *key)
{
    struct script_call call;
    script_begin(&call, "join");
    script_add_key(&call, key, strlen(key));
    limiter_run(limiter, &call, 1, redis_stage_tell, (void *)(uintptr_t)key);
}

static struct fake_redis_call *await_at(int node, const char *key)
{
    struct fake_redis_call *call = fake_redis_await(cluster_stage_node(node), "join");
    assert_string_equal(fake_redis_key(call, 1), key);
    return call;
}

static const char *told(void)
{
    cluster_stage_settle();
    return redis_stage_told();
}

static void test_calls_to_one_node_do_not_wait_for_another(void **state)
{
    (void)state;
    ask(HIGH_KEY);
    ask(OTHER_HIGH_KEY);
    ask(LOW_KEY);
    assert_true(limiter_is_congested(limiter));
    fake_redis_answer(await_at(LOWER, LOW_KEY), "1");
    assert_string_equal(told(), LOW_KEY ":1");
    assert_int_equal(fake_redis_count(cluster_stage_node(UPPER), "join"), 1);
    fake_redis_answer(await_at(UPPER, HIGH_KEY), "2");
    fake_redis_answer(await_at(UPPER, OTHER_HIGH_KEY), "3");
    assert_string_equal(told(), HIGH_KEY ":2 " OTHER_HIGH_KEY ":3");
    assert_false(limiter_is_congested(limiter));
}

/* The lane of its first call is the lane of all, as long as one waits. */
static void test_calls_of_a_room_stay_in_order_when_its_slot_moves_while_they_wait(void **state)
{
    (void)state;
    ask(OTHER_HIGH_KEY);
    ask(HIGH_KEY); /* waits for UPPER's permit */
    struct fake_redis_call *first = await_at(UPPER, OTHER_HIGH_KEY);
    size_t asked = fake_redis_count(cluster_stage_node(LOWER), "CLUSTER");
    cluster_stage_tell_upper(LOWER);
    fake_redis_answer(first, "%s", cluster_stage_redirect("MOVED", OTHER_HIGH_KEY, LOWER));
    struct fake_redis_call *moved = await_at(LOWER, OTHER_HIGH_KEY);
    cluster_stage_await_count(LOWER, "CLUSTER", asked + 2);
    cluster_stage_settle();
    ask("{" HIGH_KEY "}2"); /* LOWER, which has it in the new map, has taken another call */
    cluster_stage_settle();
    assert_int_equal(fake_redis_count(cluster_stage_node(LOWER), "join"), 1);
    fake_redis_answer(moved, "1");
    fake_redis_answer(await_at(LOWER, HIGH_KEY), "2");
    fake_redis_answer(await_at(LOWER, "{" HIGH_KEY "}2"), "3");
    assert_string_equal(told(), OTHER_HIGH_KEY ":1 " HIGH_KEY ":2 {" HIGH_KEY "}2:3");
}

/* Else nobody would be taken off anywhere while one node is away for good. */
static void test_what_waits_for_a_node_that_gives_no_answer_does_not_count_as_a_crowd(void **state)
{
    (void)state;
    ask(HIGH_KEY);
    ask("{" HIGH_KEY "}2");
    ask("{" HIGH_KEY "}3");
    await_at(UPPER, HIGH_KEY);
    assert_true(limiter_is_congested(limiter));
    fake_redis_set_away(cluster_stage_node(UPPER), true);
    assert_string_equal(told(), HIGH_KEY ":none");
    assert_false(limiter_is_congested(limiter));
    fake_redis_set_away(cluster_stage_node(UPPER), false);
    ask("{" HIGH_KEY "}4");
    fake_redis_answer(await_at(UPPER, "{" HIGH_KEY "}2"), "2");
    await_at(UPPER, "{" HIGH_KEY "}3");
    assert_true(limiter_is_congested(limiter)); /* it is here again, and one more waits */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_to_one_node_do_not_wait_for_another),
        TEST(test_calls_of_a_room_stay_in_order_when_its_slot_moves_while_they_wait),
        TEST(test_what_waits_for_a_node_that_gives_no_answer_does_not_count_as_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
