/* What operators have ordered is kept the same in Redis as here. */
#include "unit.h"

#include "world.h"

enum { RULES = 70, AT_ONCE = 32 };

static void mute_many(void)
{
    for (int i = 0; i < RULES; i++)
        world_order("{\"do\":\"mute\",\"room\":\"" WORLD_ROOM "\",\"name\":\"n%d\",\"for\":600}",
                    i);
    assert_int_equal(world_count("rule"), RULES);
}

/* Redis has lost its memory, and answers nothing of what it is asked to keep again. */
static void lose_memory(void)
{
    mute_many();
    world_hold("rule", NULL);
    world_lease_lapsed();
    assert_int_equal(world_count("rule"), RULES + AT_ONCE);
}

/* The subjects that are written from here on, in what Redis is asked; each once. */
static void expect_each_once(void)
{
    bool written[RULES] = {false};
    for (int i = 0; i < RULES; i++) {
        struct fake_redis_call *call = world_await("rule");
        int number = atoi(fake_redis_argument(call, 5) + strlen("name:n"));
        assert_false(written[number]);
        written[number] = true;
        fake_redis_answer(call, "1");
    }
}

static void test_a_redis_without_its_memory_gets_all_rules_a_few_at_a_time(void **state)
{
    (void)state;
    lose_memory();
    expect_each_once();
    assert_int_equal(world_count("rule"), 2 * RULES);
}

static void test_rules_whose_writing_got_no_answer_are_written_again(void **state)
{
    (void)state;
    lose_memory();
    for (int i = 0; i < AT_ONCE; i++)
        world_await("rule");
    world_redis_away();
    world_redis_back();
    expect_each_once();
    assert_int_equal(world_count("rule"), 2 * RULES + AT_ONCE);
}

static void test_a_rule_that_is_lifted_meanwhile_is_not_written_any_more(void **state)
{
    (void)state;
    lose_memory();
    world_order("{\"do\":\"unmute\",\"room\":\"" WORLD_ROOM "\",\"name\":\"n%d\"}", RULES - 1);
    for (int i = 0; i < AT_ONCE; i++)
        fake_redis_answer(world_await("rule"), "1");
    struct fake_redis_call *lifted = world_await("rule");
    assert_string_equal(fake_redis_argument(lifted, 7), "0");
    fake_redis_answer(lifted, "1");
    for (int i = AT_ONCE; i < RULES - 1; i++)
        fake_redis_answer(world_await("rule"), "1");
    assert_int_equal(world_count("rule"), 2 * RULES);
}

static void test_a_redis_that_is_awaited_is_not_taken_for_another_one(void **state)
{
    (void)state;
    mute_many();
    world_redis_awaited();
    world_redis_back();
    assert_int_equal(world_count("rule"), RULES);
}

static bool are_written_again(void *arg)
{
    (void)arg;
    return world_count("rule") >= 2 * RULES;
}

static void test_a_redis_that_does_not_tell_who_it_is_gets_all_rules_once(void **state)
{
    (void)state;
    mute_many();
    world_redis_hides();
    world_redis_away();
    world_redis_back();
    assert_true(loop_until(are_written_again, NULL, WORLD_DEADLINE_MS));
    loop_pass_ms(5000);
    assert_int_equal(world_count("rule"), 2 * RULES);
}

static void test_a_rule_that_redis_did_not_get_is_written_again(void **state)
{
    (void)state;
    world_hold("rule", NULL);
    world_order("{\"do\":\"lock\",\"room\":\"" WORLD_ROOM "\"}");
    world_await("rule");
    world_redis_away();
    world_redis_back();
    fake_redis_answer(world_await("rule"), "1");
    assert_int_equal(world_count("rule"), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_redis_without_its_memory_gets_all_rules_a_few_at_a_time),
        TEST(test_rules_whose_writing_got_no_answer_are_written_again),
        TEST(test_a_rule_that_is_lifted_meanwhile_is_not_written_any_more),
        TEST(test_a_redis_that_is_awaited_is_not_taken_for_another_one),
        TEST(test_a_redis_that_does_not_tell_who_it_is_gets_all_rules_once),
        TEST(test_a_rule_that_redis_did_not_get_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
