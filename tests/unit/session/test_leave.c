/* Leaving: Redis surely learns of it, whatever happens on the way, and of the right member.
 */
#include "unit.h"

#include "world.h"

static void leave(const struct member *member)
{
    client_send(member->client, "{\"type\":\"leave\"}");
}

static struct fake_redis_call *expect_leave(const char *session, const char *said)
{
    struct fake_redis_call *call = world_await("leave");
    assert_int_equal(world_leave_count(call), 1);
    assert_string_equal(world_leave_word(call, 0, WORLD_LEAVE_SESSION), session);
    assert_string_equal(world_leave_word(call, 0, WORLD_LEAVE_SAID), said);
    assert_string_equal(world_leave_word(call, 0, WORLD_LEAVE_SPARED), "");
    return call;
}

static void expect_no_more_leaves(void)
{
    loop_pass_ms(10000);
    world_expect_none("leave");
}

/* --- What must hold --- */

static void test_who_leaves_is_taken_off_by_name_and_session_and_the_token_ends(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    struct fake_redis_call *call = expect_leave(alice.session, "1");
    assert_string_equal(fake_redis_key(call, 1), WORLD_CHANNEL);
    assert_string_equal(fake_redis_key(call, 5), WORLD_CHANNEL ":member:alice");
    assert_string_equal(fake_redis_argument(call, 5), WORLD_GATEWAY);
    world_take_off(call);
    expect_no_more_leaves();
}

static void test_who_has_left_hears_nothing_more_and_may_join_again(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    world_take_off(expect_leave(alice.session, "1"));
    world_publish_message("for members");
    client_expect_silence(alice.client);
    client_send(alice.client, "{\"type\":\"say\",\"text\":\"hello\",\"nonce\":\"n\"}");
    client_expect_error(alice.client, "not_joined");
    world_ask(alice.client, "alice");
    struct fake_redis_call *call = world_await("join");
    assert_string_not_equal(world_join_word(call, 0, WORLD_JOIN_NEW_ID), alice.id);
    assert_string_not_equal(world_join_word(call, 0, WORLD_JOIN_SESSION), alice.session);
    world_let_in(call);
    client_expect(alice.client, "welcome");
    expect_no_more_leaves();
}

static void test_who_has_left_and_is_cut_off_does_not_leave_twice(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    client_cut(alice.client);
    world_take_off(expect_leave(alice.session, "1"));
    assert_int_equal(world_detached(), 0);
    loop_pass_ms(2 * WORLD_GRACE_MS);
    world_expect_none("leave");
}

static void test_those_who_leave_at_once_share_a_call(void **state)
{
    (void)state;
    struct member members[3] = {world_join("anna"), world_join("bert"), world_join("carl")};
    for (int i = 0; i < 3; i++)
        leave(&members[i]);
    struct fake_redis_call *call = world_await("leave");
    assert_int_equal(world_leave_count(call), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(world_leave_word(call, i, WORLD_LEAVE_SESSION), members[i].session);
    world_take_off(call);
    expect_no_more_leaves();
}

/* Whoever asks for the name from there on finds it free. */
static void
test_who_asks_for_the_name_of_one_who_has_just_left_is_asked_for_after_that(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct client *early = world_connect(), *late = world_connect();
    world_ask(early, "early");
    leave(&alice);
    world_ask(late, "alice");
    struct fake_redis_call *calls[3] = {world_await("join"), world_await("leave"),
                                        world_await("join")};
    assert_int_equal(world_join_count(calls[0]), 1);
    assert_string_equal(world_join_word(calls[0], 0, WORLD_JOIN_NAME), "early");
    assert_string_equal(world_join_word(calls[2], 0, WORLD_JOIN_NAME), "alice");
    assert_true(fake_redis_came_before(calls[0], calls[1]));
    assert_true(fake_redis_came_before(calls[1], calls[2]));
    world_let_in(calls[0]);
    world_take_off(calls[1]);
    world_let_in(calls[2]);
    client_expect(late, "welcome");
}

/* Else its line would come after the one that tells that it has left. */
static void test_what_was_said_before_a_leave_goes_before_it(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    client_send(alice.client, "{\"type\":\"say\",\"text\":\"bye\",\"nonce\":\"n\"}");
    leave(&alice);
    struct fake_redis_call *said = world_await("publish"), *left = world_await("leave");
    assert_true(fake_redis_came_before(said, left));
    fake_redis_answer(said, "[%d]", (int)world_seq() + 1);
    world_publish_message("bye");
    world_take_off(left);
    expect_no_more_leaves();
}

/* --- What it must survive --- */

static void test_a_leave_that_ends_in_an_error_is_repeated_until_it_is_answered(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    for (int i = 0; i < 3; i++)
        fake_redis_answer(expect_leave(alice.session, "1"), "-OOM command not allowed");
    world_take_off(expect_leave(alice.session, "1"));
    expect_no_more_leaves();
}

static void test_a_leave_under_way_when_redis_is_lost_is_repeated_when_it_is_back(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    expect_leave(alice.session, "1");
    world_redis_away();
    loop_pass_ms(5000);
    world_expect_none("leave");
    world_redis_back();
    fake_redis_answer(expect_leave(alice.session, "1"), "0"); /* the first one was carried out */
    expect_no_more_leaves();
}

static void test_a_leave_while_redis_is_away_is_said_when_it_is_back(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_redis_away();
    leave(&alice);
    loop_pass_ms(5000);
    assert_int_equal(world_count("leave"), 0);
    world_redis_back();
    world_take_off(expect_leave(alice.session, "1"));
    expect_no_more_leaves();
}

static void test_a_leave_that_redis_does_not_answer_is_repeated(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    struct fake_redis_call *first = expect_leave(alice.session, "1");
    loop_pass_ms(WORLD_DEADLINE_MS + 3000);
    fake_redis_answer(first, "9"); /* nobody waits for it */
    world_take_off(expect_leave(alice.session, "1"));
    expect_no_more_leaves();
}

static void test_a_leave_outlives_the_connection_and_the_session_that_it_was_of(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    struct fake_redis_call *call = expect_leave(alice.session, "1");
    client_cut(alice.client);
    loop_settle();
    fake_redis_answer(call, "-ERR something");
    world_take_off(expect_leave(alice.session, "1"));
    expect_no_more_leaves();
}

static void test_a_leave_is_repeated_by_a_redis_that_has_lost_its_scripts(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    fake_redis_answer(expect_leave(alice.session, "1"), "-NOSCRIPT No matching script.");
    world_take_off(expect_leave(alice.session, "1"));
    expect_no_more_leaves();
}

static void test_those_of_a_call_that_failed_are_all_repeated(void **state)
{
    (void)state;
    struct member alice = world_join("alice"), bob = world_join("bob");
    leave(&alice);
    leave(&bob);
    fake_redis_answer(world_await("leave"), "-ERR something");
    struct fake_redis_call *again = world_await("leave");
    assert_int_equal(world_leave_count(again), 2);
    world_take_off(again);
    expect_no_more_leaves();
}

/* The same name, another session: Redis takes nobody off by a repeated leave who came later. */
static void test_a_repeated_leave_is_still_of_the_incarnation_that_left(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    leave(&alice);
    fake_redis_answer(expect_leave(alice.session, "1"), "-ERR something");
    world_ask(alice.client, "alice");
    struct fake_redis_call *join = world_await("join");
    world_let_in(join);
    client_await(alice.client, "welcome");
    fake_redis_answer(expect_leave(alice.session, "1"), "0");
    expect_no_more_leaves();
    world_publish_message("still here");
    client_await(alice.client, "message");
}

static void test_a_burst_leaves_each_once_fifty_in_a_call_at_most(void **state)
{
    (void)state;
    static struct member members[55];
    for (int i = 0; i < 55; i++) {
        char name[16];
        snprintf(name, sizeof name, "guest%c%c", 'a' + i / 10, 'a' + i % 10);
        members[i] = world_join(name);
    }
    for (int i = 0; i < 55; i++)
        leave(&members[i]);
    for (size_t left = 0, count; left < 55; left += count) {
        struct fake_redis_call *call = world_await("leave");
        count = world_leave_count(call);
        assert_in_range(count, 1, 50);
        for (size_t i = 0; i < count; i++)
            assert_string_equal(world_leave_word(call, i, WORLD_LEAVE_SESSION),
                                members[left + i].session);
        world_take_off(call);
    }
    expect_no_more_leaves();
}

static void test_a_gateway_that_ends_with_leaves_under_way_leaves_nothing_behind(void **state)
{
    (void)state;
    struct member alice = world_join("alice"), bob = world_join("bob");
    leave(&alice);
    expect_leave(alice.session, "1");
    world_redis_away();
    leave(&bob);
    loop_settle();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_who_leaves_is_taken_off_by_name_and_session_and_the_token_ends),
        TEST(test_who_has_left_hears_nothing_more_and_may_join_again),
        TEST(test_who_has_left_and_is_cut_off_does_not_leave_twice),
        TEST(test_those_who_leave_at_once_share_a_call),
        TEST(test_who_asks_for_the_name_of_one_who_has_just_left_is_asked_for_after_that),
        TEST(test_what_was_said_before_a_leave_goes_before_it),
        TEST(test_a_leave_that_ends_in_an_error_is_repeated_until_it_is_answered),
        TEST(test_a_leave_under_way_when_redis_is_lost_is_repeated_when_it_is_back),
        TEST(test_a_leave_while_redis_is_away_is_said_when_it_is_back),
        TEST(test_a_leave_that_redis_does_not_answer_is_repeated),
        TEST(test_a_leave_outlives_the_connection_and_the_session_that_it_was_of),
        TEST(test_a_leave_is_repeated_by_a_redis_that_has_lost_its_scripts),
        TEST(test_those_of_a_call_that_failed_are_all_repeated),
        TEST(test_a_repeated_leave_is_still_of_the_incarnation_that_left),
        TEST(test_a_burst_leaves_each_once_fifty_in_a_call_at_most),
        TEST(test_a_gateway_that_ends_with_leaves_under_way_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
