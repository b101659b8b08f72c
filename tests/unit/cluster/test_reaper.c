/* Gateways that are dead: noticed, and their members taken off room by room. (This gateway's own
 * earlier lives: test_incarnations.c.) */
#include "unit.h"

#include "reaper_calls.h"
#include "world.h"

#define DEAD       "yukizuri:gateway:dead"
#define DEAD_GONE  DEAD ":gone"
#define DEAD_ROOMS DEAD ":rooms"
#define CLAIM      "yukizuri:bury:dead"
#define DEN        "yukizuri:{den}:members"

/* From when its key is found missing. */
enum { WAIT_MS = WORLD_GRACE_MS - WORLD_LEASE_MS * 2 / 3 };

/* The lease is taken; another gateway, which had a room, lives. */
static int setup(void **state)
{
    (void)state;
    world_open_membership();
    world_when("SMEMBERS", GATEWAYS, "['" WORLD_GATEWAY "', 'dead']");
    world_when("SMEMBERS", DEAD_ROOMS, "['lobby']");
    world_when("EXISTS", DEAD, "1");
    world_when("EXISTS", DEAD_GONE, "0");
    world_when("SSCAN", LOBBY, "['0', ['alice', 'bob']]");
    world_hold("SET", CLAIM);
    take_lease();
    loop_pass_ms(2 * POLL_MS);
    return 0;
}

static void die(void)
{
    world_when("EXISTS", DEAD, "0");
}

/* Some time later it is found out, and the reaping claimed. */
static struct fake_redis_call *await_claim(int64_t wait_ms)
{
    loop_pass_ms(wait_ms - POLL_MS / 2);
    world_expect_none("SET");
    struct fake_redis_call *call = world_await("SET");
    assert_string_equal(fake_redis_argument(call, 1), CLAIM);
    assert_string_equal(fake_redis_argument(call, 2), WORLD_GATEWAY);
    assert_string_equal(fake_redis_argument(call, 3), "NX");
    assert_string_equal(fake_redis_argument(call, 4), "PX");
    assert_string_equal(fake_redis_argument(call, 5), "10000");
    return call;
}

static struct fake_redis_call *die_and_claim(void)
{
    die();
    struct fake_redis_call *call = await_claim(WAIT_MS);
    fake_redis_answer(call, "+OK");
    return call;
}

static void expect_buried(bool reaped)
{
    const struct fake_redis_call *call = world_last("SREM", GATEWAYS);
    assert_int_equal(call != NULL, reaped);
    if (reaped)
        assert_string_equal(fake_redis_argument(call, 2), "dead");
    assert_int_equal(world_last("DEL", DEAD_ROOMS) != NULL, reaped);
}

/* --- Noticing --- */

static void test_the_living_are_asked_after_and_left_alone(void **state)
{
    (void)state;
    size_t before = world_count_of("EXISTS", DEAD);
    loop_pass_ms(WORLD_GRACE_MS * 2);
    assert_true(world_count_of("EXISTS", DEAD) > before);
    assert_null(world_last("EXISTS", "yukizuri:gateway:" WORLD_GATEWAY));
    world_expect_none("SET");
    expect_buried(false);
}

static void test_a_dead_gateways_room_is_walked_and_its_members_taken_off(void **state)
{
    (void)state;
    die_and_claim();
    struct fake_redis_call *reap = await_reap("yukizuri:{lobby}", "dead");
    assert_string_equal(fake_redis_key(reap, 4), LOBBY);
    assert_string_equal(fake_redis_argument(reap, 6), "yukizuri:{lobby}:member:");
    assert_string_equal(fake_redis_argument(reap, 7), "yukizuri:{lobby}:left:");
    assert_string_equal(fake_redis_argument(reap, 8), ""); /* nobody is spared */
    expect_names(reap, "alice", "bob");
    assert_null(fake_redis_argument(reap, FIRST_NAME + 2));
    expect_buried(false);
    fake_redis_answer(reap, "2");
    assert_string_equal(fake_redis_argument(world_last("SREM", DEAD_ROOMS), 2), "lobby");
    expect_buried(true);
    assert_non_null(world_last("DEL", DEAD_GONE));
}

static void test_all_rooms_and_all_pages_are_walked(void **state)
{
    (void)state;
    world_when("SMEMBERS", DEAD_ROOMS, "['lobby', 'den']");
    world_when("SSCAN", LOBBY, "['0', ['alice']]");
    world_hold("SSCAN", DEN);
    die_and_claim();
    struct fake_redis_call *page = world_await("SSCAN");
    assert_string_equal(fake_redis_argument(page, 2), "0");
    fake_redis_answer(page, "['17', ['carl']]");
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "1");
    struct fake_redis_call *reap = await_reap("yukizuri:{den}", "dead");
    expect_names(reap, "carl", NULL);
    fake_redis_answer(reap, "1");
    page = world_await("SSCAN");
    assert_string_equal(fake_redis_argument(page, 2), "17");
    expect_buried(false);
    fake_redis_answer(page, "['0', ['dora']]");
    reap = await_reap("yukizuri:{den}", "dead");
    expect_names(reap, "dora", NULL);
    fake_redis_answer(reap, "1");
    expect_buried(true);
}

static void test_at_most_eight_rooms_are_walked_at_once(void **state)
{
    (void)state;
    world_when("SMEMBERS", DEAD_ROOMS,
               "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l']");
    world_hold("reap", NULL);
    die_and_claim();
    assert_int_equal(world_count("reap"), 8);
    for (int i = 0; i < 12; i++) {
        assert_in_range(world_count("reap"), 1, 8 + i);
        fake_redis_answer(world_await("reap"), "1");
    }
    expect_buried(true);
}

static void test_a_gateway_without_rooms_is_taken_off_the_list_at_once(void **state)
{
    (void)state;
    world_when("SMEMBERS", DEAD_ROOMS, "[]");
    die_and_claim();
    expect_buried(true);
    world_expect_none("reap");
}

static void test_a_gateway_that_has_stopped_is_given_the_whole_grace(void **state)
{
    (void)state;
    world_when("EXISTS", DEAD_GONE, "1");
    die();
    fake_redis_answer(await_claim(WORLD_GRACE_MS), "+OK");
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "2");
    expect_buried(true);
}

/* --- What it must survive --- */

static void test_who_renews_its_lease_in_time_is_suspected_no_more(void **state)
{
    (void)state;
    die();
    loop_pass_ms(WAIT_MS - 2 * POLL_MS);
    world_when("EXISTS", DEAD, "1");
    loop_pass_ms(2 * POLL_MS);
    die(); /* and waited for as long as the first time */
    fake_redis_answer(await_claim(WAIT_MS), "+OK");
}

/* Leases prove nothing then: all get the whole grace. */
static void test_suspicion_is_dropped_while_redis_is_away(void **state)
{
    (void)state;
    die();
    loop_pass_ms(WAIT_MS - 2 * POLL_MS);
    world_redis_away();
    loop_pass_ms(WORLD_GRACE_MS);
    world_redis_back();
    fake_redis_answer(await_claim(WORLD_GRACE_MS - POLL_MS), "+OK");
}

static void test_suspicion_is_dropped_while_redis_takes_no_writes(void **state)
{
    (void)state;
    die();
    loop_pass_ms(WAIT_MS - 3 * POLL_MS);
    world_when("lease", NULL, "-OOM command not allowed");
    loop_pass_ms(WORLD_LEASE_MS);
    world_expect_none("SET");
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    loop_pass_ms(WORLD_GRACE_MS - WORLD_LEASE_MS / 3 - POLL_MS);
    world_expect_none("SET");
    loop_pass_ms(WORLD_LEASE_MS / 3);
    world_await("SET");
}

/* What it hears afterwards is not so any more. */
static void test_suspicion_is_dropped_when_this_process_was_stopped(void **state)
{
    (void)state;
    die();
    loop_pass_ms(WAIT_MS - 2 * POLL_MS);
    loop_stop_ms(20 * POLL_MS);
    loop_settle();
    fake_redis_answer(await_claim(WORLD_GRACE_MS - POLL_MS), "+OK");
}

static void test_a_claim_that_another_has_is_given_an_end_and_made_again(void **state)
{
    (void)state;
    die();
    fake_redis_answer(await_claim(WAIT_MS), "null");
    loop_settle();
    const struct fake_redis_call *end = world_last("PEXPIRE", CLAIM);
    assert_non_null(end);
    assert_string_equal(fake_redis_argument(end, 3), "NX");
    assert_null(world_last("SMEMBERS", DEAD_ROOMS));
    fake_redis_answer(world_await("SET"), "null");
    assert_null(world_last("SMEMBERS", DEAD_ROOMS));
    fake_redis_answer(world_await("SET"), "+OK"); /* it has died as well */
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "2");
    expect_buried(true);
}

static void test_whom_another_has_reaped_is_not_asked_after_any_more(void **state)
{
    (void)state;
    die();
    fake_redis_answer(await_claim(WAIT_MS), "null");
    world_when("SMEMBERS", GATEWAYS, "['" WORLD_GATEWAY "']");
    loop_pass_ms(2 * POLL_MS);
    size_t before = world_count_of("EXISTS", DEAD);
    loop_pass_ms(WORLD_GRACE_MS);
    assert_int_equal(world_count_of("EXISTS", DEAD), before);
    world_expect_none("SET");
}

static void test_a_claim_that_fails_is_made_again(void **state)
{
    (void)state;
    die();
    fake_redis_answer(await_claim(WAIT_MS), "-OOM command not allowed");
    fake_redis_answer(world_await("SET"), "+OK");
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "2");
    expect_buried(true);
}

static void test_who_comes_back_between_two_pages_keeps_its_members(void **state)
{
    (void)state;
    world_when("SSCAN", LOBBY, "['17', ['alice']]");
    die_and_claim();
    struct fake_redis_call *reap = await_reap("yukizuri:{lobby}", "dead");
    world_when("SSCAN", LOBBY, "['0', ['bob']]");
    world_when("EXISTS", DEAD, "1");
    fake_redis_answer(reap, "1");
    loop_pass_ms(2 * POLL_MS);
    world_expect_none("reap");
    world_expect_none("SET");
    expect_buried(false);
    assert_null(world_last("SREM", DEAD_ROOMS));
}

static void test_who_comes_back_before_the_first_page_keeps_its_members(void **state)
{
    (void)state;
    die();
    struct fake_redis_call *claim = await_claim(WAIT_MS);
    world_when("EXISTS", DEAD, "1");
    fake_redis_answer(claim, "+OK");
    loop_pass_ms(2 * POLL_MS);
    world_expect_none("reap");
    expect_buried(false);
}

/* Whoever takes it up looks through what is left. */
static void check_that_it_is_taken_up_again(void)
{
    loop_settle();
    expect_buried(false);
    assert_null(world_last("SREM", DEAD_ROOMS));
    world_when("SSCAN", LOBBY, "['0', ['alice', 'bob']]");
    fake_redis_answer(world_await("SET"), "+OK");
    struct fake_redis_call *reap = await_reap("yukizuri:{lobby}", "dead");
    expect_names(reap, "alice", "bob");
    fake_redis_answer(reap, "2");
    expect_buried(true);
}

static void test_a_page_that_cannot_be_taken_off_is_taken_up_again(void **state)
{
    (void)state;
    die_and_claim();
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "-OOM command not allowed");
    check_that_it_is_taken_up_again();
}

static void test_a_page_that_cannot_be_read_is_taken_up_again(void **state)
{
    (void)state;
    world_when("SSCAN", LOBBY, "-ERR something");
    die_and_claim();
    check_that_it_is_taken_up_again();
}

static void test_a_cursor_that_stands_still_is_not_followed_for_ever(void **state)
{
    (void)state;
    world_when("SSCAN", LOBBY, "['17', ['alice']]");
    die_and_claim();
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "1");
    check_that_it_is_taken_up_again();
}

static void test_rooms_that_cannot_be_read_are_taken_up_again(void **state)
{
    (void)state;
    world_when("SMEMBERS", DEAD_ROOMS, "-ERR something");
    die_and_claim();
    loop_settle();
    world_when("SMEMBERS", DEAD_ROOMS, "['lobby']");
    check_that_it_is_taken_up_again();
}

static void test_a_room_of_another_type_by_hand_is_taken_off_and_the_reaping_ends(void **state)
{
    (void)state;
    world_when("SSCAN", LOBBY, "-WRONGTYPE of another kind");
    die_and_claim();
    assert_non_null(world_last("DEL", LOBBY));
    expect_buried(true);
}

static void test_one_room_that_fails_does_not_keep_others_from_being_walked(void **state)
{
    (void)state;
    world_when("SMEMBERS", DEAD_ROOMS, "['den', 'lobby']");
    world_when("SSCAN", DEN, "-ERR something");
    die_and_claim();
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "2");
    assert_string_equal(fake_redis_argument(world_last("SREM", DEAD_ROOMS), 2), "lobby");
    expect_buried(false);
}

static void test_a_reaping_is_carried_on_by_a_redis_that_has_lost_its_scripts(void **state)
{
    (void)state;
    die_and_claim();
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "-NOSCRIPT No matching script.");
    struct fake_redis_call *again = await_reap("yukizuri:{lobby}", "dead");
    expect_names(again, "alice", "bob");
    fake_redis_answer(again, "2");
    expect_buried(true);
}

static void test_a_reaping_that_loses_redis_is_taken_up_again_after_the_grace(void **state)
{
    (void)state;
    die_and_claim();
    await_reap("yukizuri:{lobby}", "dead");
    world_redis_away();
    loop_pass_ms(2 * POLL_MS);
    world_redis_back();
    fake_redis_answer(await_claim(WORLD_GRACE_MS - POLL_MS), "+OK");
    fake_redis_answer(await_reap("yukizuri:{lobby}", "dead"), "2");
    expect_buried(true);
}

/* It says what was so a second ago. */
static void test_an_answer_that_comes_after_this_process_was_stopped_reaps_nobody(void **state)
{
    (void)state;
    world_hold("SSCAN", LOBBY);
    die_and_claim();
    struct fake_redis_call *page = world_await("SSCAN");
    loop_stop_ms(3 * POLL_MS);
    fake_redis_answer(page, "['0', ['alice']]");
    loop_settle();
    world_expect_none("reap");
    expect_buried(false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_living_are_asked_after_and_left_alone),
        TEST(test_a_dead_gateways_room_is_walked_and_its_members_taken_off),
        TEST(test_all_rooms_and_all_pages_are_walked),
        TEST(test_at_most_eight_rooms_are_walked_at_once),
        TEST(test_a_gateway_without_rooms_is_taken_off_the_list_at_once),
        TEST(test_a_gateway_that_has_stopped_is_given_the_whole_grace),
        TEST(test_who_renews_its_lease_in_time_is_suspected_no_more),
        TEST(test_suspicion_is_dropped_while_redis_is_away),
        TEST(test_suspicion_is_dropped_while_redis_takes_no_writes),
        TEST(test_suspicion_is_dropped_when_this_process_was_stopped),
        TEST(test_a_claim_that_another_has_is_given_an_end_and_made_again),
        TEST(test_whom_another_has_reaped_is_not_asked_after_any_more),
        TEST(test_a_claim_that_fails_is_made_again),
        TEST(test_who_comes_back_between_two_pages_keeps_its_members),
        TEST(test_who_comes_back_before_the_first_page_keeps_its_members),
        TEST(test_a_page_that_cannot_be_taken_off_is_taken_up_again),
        TEST(test_a_page_that_cannot_be_read_is_taken_up_again),
        TEST(test_a_cursor_that_stands_still_is_not_followed_for_ever),
        TEST(test_rooms_that_cannot_be_read_are_taken_up_again),
        TEST(test_a_room_of_another_type_by_hand_is_taken_off_and_the_reaping_ends),
        TEST(test_one_room_that_fails_does_not_keep_others_from_being_walked),
        TEST(test_a_reaping_is_carried_on_by_a_redis_that_has_lost_its_scripts),
        TEST(test_a_reaping_that_loses_redis_is_taken_up_again_after_the_grace),
        TEST(test_an_answer_that_comes_after_this_process_was_stopped_reaps_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
