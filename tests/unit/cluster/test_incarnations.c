/* This gateway's own earlier incarnations, which left members behind: taken off, and none of this
 * one. */
#include "unit.h"

#include "reaper_calls.h"
#include "world.h"

#define OWN_ROOMS "yukizuri:gateway:" WORLD_GATEWAY ":rooms"
#define OWN_CLAIM "yukizuri:bury:" WORLD_GATEWAY

/* This gateway begins, and an earlier incarnation has left this room. */
static int setup_own(void **state)
{
    (void)state;
    world_open_membership();
    world_when("SMEMBERS", OWN_ROOMS, "['lobby']");
    world_when("SSCAN", LOBBY, "['0', ['alice', 'bob']]");
    world_hold("SET", OWN_CLAIM);
    return 0;
}

static struct fake_redis_call *await_own_claim(void)
{
    loop_pass_ms(WORLD_GRACE_MS - 2 * POLL_MS);
    world_expect_none("SET");
    struct fake_redis_call *call = world_await("SET");
    assert_string_equal(fake_redis_argument(call, 1), OWN_CLAIM);
    return call;
}

static void
test_own_earlier_incarnation_is_reaped_after_the_grace_and_this_one_is_spared(void **state)
{
    (void)state;
    const char *incarnation =
        fake_redis_argument(world_last("lease", "yukizuri:gateway:" WORLD_GATEWAY), 1);
    take_lease();
    fake_redis_answer(await_own_claim(), "+OK");
    struct fake_redis_call *reap = await_reap("yukizuri:{lobby}", WORLD_GATEWAY);
    assert_string_equal(fake_redis_argument(reap, 8), incarnation);
    expect_names(reap, "alice", "bob");
    fake_redis_answer(reap, "1");
    assert_null(world_last("SREM", GATEWAYS)); /* this one lives */
    assert_null(world_last("DEL", OWN_ROOMS));
    loop_pass_ms(WORLD_GRACE_MS);
    world_expect_none("SET");
}

static void test_own_earlier_incarnation_that_cannot_be_reaped_is_tried_again(void **state)
{
    (void)state;
    take_lease();
    fake_redis_answer(await_own_claim(), "null");
    fake_redis_answer(world_await("SET"), "+OK");
    fake_redis_answer(await_reap("yukizuri:{lobby}", WORLD_GATEWAY), "-OOM command not allowed");
    fake_redis_answer(world_await("SET"), "+OK");
    fake_redis_answer(await_reap("yukizuri:{lobby}", WORLD_GATEWAY), "2");
    loop_pass_ms(WORLD_GRACE_MS);
    world_expect_none("SET");
}

/* Its members are its own until it is gone; then it may have left more. */
static void test_own_earlier_incarnation_that_drains_is_not_reaped_until_it_is_gone(void **state)
{
    (void)state;
    fake_redis_answer(world_await("lease"), "['taken-over', 9000, 0, 'other 5', '']");
    world_when("lease", NULL, "['renewed', 9000, 0, 'ours 2', '']");
    loop_pass_ms(3 * WORLD_GRACE_MS);
    world_expect_none("SET");
    size_t before = world_count_of("SMEMBERS", OWN_ROOMS);
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    loop_pass_ms(WORLD_GRACE_MS - WORLD_LEASE_MS / 3 + POLL_MS / 2);
    assert_int_equal(world_count_of("SMEMBERS", OWN_ROOMS), before + 1);
    fake_redis_answer(world_await("SET"), "+OK");
    fake_redis_answer(await_reap("yukizuri:{lobby}", WORLD_GATEWAY), "2");
}

/* Whoever is not of this incarnation may be of that one. */
static void test_nobody_is_reaped_for_own_id_once_a_successor_has_it(void **state)
{
    (void)state;
    take_lease();
    loop_pass_ms(POLL_MS);
    world_when("lease", NULL, "['lost', 0, 0, 'other 1', '']");
    loop_pass_ms(2 * WORLD_GRACE_MS);
    world_expect_none("SET");
}

static void test_a_walk_under_way_ends_once_a_successor_has_own_id(void **state)
{
    (void)state;
    world_hold("SSCAN", LOBBY);
    take_lease();
    fake_redis_answer(await_own_claim(), "+OK");
    fake_redis_answer(world_await("SSCAN"), "['17', ['alice']]");
    struct fake_redis_call *reap = await_reap("yukizuri:{lobby}", WORLD_GATEWAY);
    world_hold("lease", NULL);
    loop_pass_ms(WORLD_LEASE_MS / 3);
    struct fake_redis_call *lease = world_await("lease");
    fake_redis_answer(reap, "1");
    struct fake_redis_call *page = world_await("SSCAN");
    fake_redis_answer(lease, "['lost', 0, 0, 'other 1', '']");
    fake_redis_answer(page, "['18', ['bob']]");
    world_expect_none("reap");
    world_expect_none("SSCAN");
}

static void test_a_gateway_that_ends_in_a_reaping_leaves_nothing_behind(void **state)
{
    (void)state;
    take_lease();
    fake_redis_answer(await_own_claim(), "+OK");
    await_reap("yukizuri:{lobby}", WORLD_GATEWAY);
}

int main(void)
{
#define OWN(name) cmocka_unit_test_setup_teardown(name, setup_own, world_teardown)
    const struct CMUnitTest tests[] = {
        OWN(test_own_earlier_incarnation_is_reaped_after_the_grace_and_this_one_is_spared),
        OWN(test_own_earlier_incarnation_that_cannot_be_reaped_is_tried_again),
        OWN(test_own_earlier_incarnation_that_drains_is_not_reaped_until_it_is_gone),
        OWN(test_nobody_is_reaped_for_own_id_once_a_successor_has_it),
        OWN(test_a_walk_under_way_ends_once_a_successor_has_own_id),
        OWN(test_a_gateway_that_ends_in_a_reaping_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
