/* Staying in: members' keys are refreshed, whoever Redis has lost is reinstated, and whoever
 * another has meanwhile is let go. */
#include "unit.h"

#include "world.h"

enum {
    HALF_LIFE_MS = 120000, /* of a member's key, with the default lease */
    A_WHILE_MS = 5000,
    MEMBERS = 34,
    A_MOMENT_MS = 1500, /* less than what world_await waits for */
};

/* Arguments of refresh.lua before the sessions. */
static const char *session_at(const struct fake_redis_call *call, size_t index)
{
    return fake_redis_argument(call, 8 + index);
}

/* The next call of refresh.lua, which is due because the lease had lapsed. */
static struct fake_redis_call *refresh_now(void)
{
    world_hold("refresh", NULL);
    world_lease_lapsed();
    return world_await("refresh");
}

/* Redis has lost this member; the call that puts it back. */
static struct fake_redis_call *lose_in_redis(const struct member *member)
{
    struct fake_redis_call *refresh = refresh_now();
    fake_redis_answer(refresh, "'g'");
    struct fake_redis_call *join = world_await("join");
    assert_int_equal(world_join_count(join), 1);
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_REINSTATE), "1");
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_SHOWN_ID), member->id);
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_SESSION), member->session);
    return join;
}

static void answer_back(struct fake_redis_call *join, const struct member *member)
{
    world_publish_presence("", "");
    fake_redis_answer(join, "[['joined', '%s', %d, 0, 'epoch-1']]", member->id, (int)world_seq());
}

static void expect_still_there(const struct member *member)
{
    client_forget(member->client);
    world_publish_message("still here");
    client_await(member->client, "message");
}

/* --- What must hold --- */

static void test_members_are_refreshed_twice_in_their_keys_life(void **state)
{
    (void)state;
    struct member alice = world_join("alice"), bob = world_join("bob");
    world_hold("refresh", NULL);
    loop_pass_ms(HALF_LIFE_MS - A_MOMENT_MS);
    world_expect_none("refresh");
    struct fake_redis_call *call = world_await("refresh");
    assert_string_equal(fake_redis_key(call, 5), WORLD_CHANNEL ":member:alice");
    assert_string_equal(fake_redis_key(call, 6), WORLD_CHANNEL ":member:bob");
    assert_string_equal(session_at(call, 0), alice.session);
    assert_string_equal(session_at(call, 1), bob.session);
    assert_null(session_at(call, 2));
    fake_redis_answer(call, "'kk'");
    loop_pass_ms(HALF_LIFE_MS - A_MOMENT_MS);
    world_expect_none("refresh");
    fake_redis_answer(world_await("refresh"), "'kk'");
}

static void test_a_detached_session_is_refreshed_like_the_others(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    client_cut(alice.client);
    loop_settle();
    struct fake_redis_call *call = refresh_now();
    assert_string_equal(session_at(call, 0), alice.session);
    fake_redis_answer(call, "'k'");
}

static void test_whoever_redis_has_lost_is_reinstated_under_its_id_and_its_token(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct fake_redis_call *join = lose_in_redis(&alice);
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_NAME), "alice");
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_NEW_ID), alice.id);
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_NEW_HASH),
                        world_join_word(join, 0, WORLD_JOIN_SHOWN_HASH));
    answer_back(join, &alice);
    expect_still_there(&alice);
    world_expect_none("leave");
}

static void test_of_several_those_are_reinstated_who_are_lost(void **state)
{
    (void)state;
    world_join("anna");
    struct member bert = world_join("bert");
    world_join("carl");
    fake_redis_answer(refresh_now(), "'kgk'");
    struct fake_redis_call *join = world_await("join");
    assert_int_equal(world_join_count(join), 1);
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_SHOWN_ID), bert.id);
    answer_back(join, &bert);
}

static void test_whom_another_gateway_has_is_closed_and_does_not_leave(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    fake_redis_answer(lose_in_redis(&alice), "[['moved']]");
    assert_int_equal(client_await_end(alice.client), 4409);
    loop_pass_ms(2 * WORLD_GRACE_MS);
    world_expect_none("leave");
}

/* Somebody took it while this gateway was thought dead: the page joins anew. */
static void test_whose_name_is_anothers_is_closed_and_asked_to_come_back(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    fake_redis_answer(lose_in_redis(&alice), "[['taken', 2]]");
    assert_int_equal(client_await_end(alice.client), 4400);
}

static void test_a_lapsed_lease_checks_all_members_at_once(void **state)
{
    (void)state;
    world_join("alice");
    size_t before = world_count("refresh");
    world_lease_lapsed();
    assert_int_equal(world_count("refresh"), before + 1);
}

static void test_a_redis_that_is_back_is_asked_for_all_members(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_hold("refresh", NULL);
    world_redis_away();
    loop_pass_ms(A_WHILE_MS);
    world_redis_back();
    struct fake_redis_call *call = world_await("refresh");
    assert_string_equal(session_at(call, 0), alice.session);
    fake_redis_answer(call, "'k'");
    expect_still_there(&alice);
}

/* --- What it must survive --- */

static void test_a_refresh_that_fails_is_repeated_a_lease_later(void **state)
{
    (void)state;
    world_join("alice");
    fake_redis_answer(refresh_now(), "-OOM command not allowed");
    loop_pass_ms(WORLD_LEASE_MS - A_MOMENT_MS);
    fake_redis_answer(world_await("refresh"), "'k'");
    world_expect_none("join");
}

static void test_a_refresh_that_is_lost_with_the_connection_is_repeated(void **state)
{
    (void)state;
    world_join("alice");
    refresh_now();
    world_redis_away();
    loop_pass_ms(A_WHILE_MS);
    world_expect_none("join"); /* it is not known to be lost */
    world_redis_back();
    fake_redis_answer(world_await("refresh"), "'k'");
}

static void test_an_answer_that_is_too_short_loses_nobody(void **state)
{
    (void)state;
    world_join("alice");
    struct member bob = world_join("bob");
    fake_redis_answer(refresh_now(), "'k'");
    world_expect_none("join");
    expect_still_there(&bob);
}

static void test_putting_back_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    fake_redis_answer(lose_in_redis(&alice), "-OOM command not allowed");
    loop_pass_ms(WORLD_LEASE_MS - A_MOMENT_MS);
    fake_redis_answer(world_await("refresh"), "'g'");
    answer_back(world_await("join"), &alice);
    expect_still_there(&alice);
    world_expect_none("leave");
}

static void test_who_leaves_while_it_is_refreshed_is_not_reinstated(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct fake_redis_call *refresh = refresh_now();
    client_send(alice.client, "{\"type\":\"leave\"}");
    struct fake_redis_call *leave = world_await("leave");
    fake_redis_answer(refresh, "'g'");
    fake_redis_answer(leave, "0");
    world_expect_none("join");
}

/* Redis may get both through one connection: what was asked first is first. */
static void test_who_leaves_while_it_is_reinstated_leaves_after_that(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct fake_redis_call *join = lose_in_redis(&alice);
    client_send(alice.client, "{\"type\":\"leave\"}");
    struct fake_redis_call *leave = world_await("leave");
    assert_true(fake_redis_came_before(join, leave));
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), alice.session);
    answer_back(join, &alice);
    world_take_off(leave);
    client_expect_silence(alice.client);
    loop_pass_ms(A_WHILE_MS);
    world_expect_none("leave");
}

/* It would be reinstated after it left, and stay for ever. */
static void test_who_leaves_while_it_waits_to_be_reinstated_does_not_overtake_that(void **state)
{
    (void)state;
    struct member alice = world_join("alice"), bob = world_join("bob");
    struct fake_redis_call *refresh = refresh_now();
    for (int i = 0; i < MEMBERS; i++) { /* more than are under way at once */
        char name[16];
        snprintf(name, sizeof name, "guest%c%c", 'a' + i / 10, 'a' + i % 10);
        world_ask(world_connect(), name);
        loop_settle();
    }
    client_send(bob.client, "{\"type\":\"leave\"}");
    loop_settle();
    world_expect_none("leave"); /* it is queued */
    fake_redis_answer(refresh, "'gk'");
    loop_settle();
    client_send(alice.client, "{\"type\":\"leave\"}");
    loop_settle();
    struct fake_redis_call *reinstated, *left;
    while (world_join_word(reinstated = world_await("join"), 0, WORLD_JOIN_REINSTATE)[0] == '0')
        world_refuse(reinstated);
    assert_string_equal(world_join_word(reinstated, 0, WORLD_JOIN_SHOWN_ID), alice.id);
    do
        left = world_await("leave");
    while (strcmp(world_leave_word(left, world_leave_count(left) - 1, WORLD_LEAVE_SESSION),
                  alice.session) != 0);
    assert_true(fake_redis_came_before(reinstated, left));
}

static void test_who_is_cut_off_while_it_is_reinstated_stays_for_the_grace(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct fake_redis_call *join = lose_in_redis(&alice);
    client_cut(alice.client);
    loop_settle();
    answer_back(join, &alice);
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS + A_WHILE_MS);
    world_take_off(world_await("leave"));
}

static void test_who_comes_back_while_its_old_incarnation_is_reinstated_stays(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct fake_redis_call *join = lose_in_redis(&alice);
    struct client *old = alice.client;
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, world_seq());
    struct fake_redis_call *again = world_await("join");
    answer_back(join, &alice);
    world_resume(again);
    client_await(alice.client, "welcome");
    assert_int_equal(client_await_end(old), 4409);
    expect_still_there(&alice);
    world_expect_none("leave");
}

static void test_a_detached_session_whom_another_gateway_has_is_forgotten(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    client_cut(alice.client);
    loop_settle();
    fake_redis_answer(lose_in_redis(&alice), "[['moved']]");
    assert_int_equal(world_detached(), 0);
    loop_pass_ms(2 * WORLD_GRACE_MS);
    world_expect_none("leave");
}

static void test_a_gateway_that_ends_while_it_reinstates_members_leaves_nothing_behind(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose_in_redis(&alice);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_members_are_refreshed_twice_in_their_keys_life),
        TEST(test_a_detached_session_is_refreshed_like_the_others),
        TEST(test_whoever_redis_has_lost_is_reinstated_under_its_id_and_its_token),
        TEST(test_of_several_those_are_reinstated_who_are_lost),
        TEST(test_whom_another_gateway_has_is_closed_and_does_not_leave),
        TEST(test_whose_name_is_anothers_is_closed_and_asked_to_come_back),
        TEST(test_a_lapsed_lease_checks_all_members_at_once),
        TEST(test_a_redis_that_is_back_is_asked_for_all_members),
        TEST(test_a_refresh_that_fails_is_repeated_a_lease_later),
        TEST(test_a_refresh_that_is_lost_with_the_connection_is_repeated),
        TEST(test_an_answer_that_is_too_short_loses_nobody),
        TEST(test_putting_back_that_fails_is_tried_again),
        TEST(test_who_leaves_while_it_is_refreshed_is_not_reinstated),
        TEST(test_who_leaves_while_it_is_reinstated_leaves_after_that),
        TEST(test_who_leaves_while_it_waits_to_be_reinstated_does_not_overtake_that),
        TEST(test_who_is_cut_off_while_it_is_reinstated_stays_for_the_grace),
        TEST(test_who_comes_back_while_its_old_incarnation_is_reinstated_stays),
        TEST(test_a_detached_session_whom_another_gateway_has_is_forgotten),
        TEST(test_a_gateway_that_ends_while_it_reinstates_members_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
