/* After Redis went on with another memory: who is there for this gateway, and is not its own, had
 * left since, and leaves once more. */
#include "unit.h"

#include "world.h"

enum {
    SETTLED_MS = WORLD_LEASE_MS + WORLD_GRACE_MS, /* by then whoever is there is back */
    A_MOMENT_MS = 1500,
};

/* Redis says that the room is in another epoch, of which nothing is known here. */
static void change_epoch(void)
{
    world_set_room("epoch-2", 3);
    world_tell_room("{\"type\":\"epoch\",\"epoch\":\"epoch-2\"}");
    loop_settle();
}

static struct fake_redis_call *await_question(void)
{
    loop_pass_ms(SETTLED_MS - A_MOMENT_MS);
    world_expect_none("ours");
    return world_await("ours");
}

/* Of ours.lua. */
static const char *cursor_of(const struct fake_redis_call *call)
{
    return fake_redis_argument(call, 7);
}

static void expect_no_more(void)
{
    loop_pass_ms(2 * SETTLED_MS);
    world_expect_none("ours");
    world_expect_none("leave");
}

/* --- What must hold --- */

static void test_members_are_told_that_redis_lost_its_memory(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    change_epoch();
    const json_t *gap = client_await(alice.client, "gap");
    assert_string_equal(client_text(gap, "epoch"), "epoch-2");
    assert_int_equal(client_number(gap, "seq"), 3);
}

static void test_members_are_reinstated_into_a_redis_that_lost_its_memory(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_hold("refresh", NULL);
    change_epoch();
    fake_redis_answer(world_await("refresh"), "'g'");
    struct fake_redis_call *join = world_await("join");
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_SHOWN_ID), alice.id);
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_REINSTATE), "1");
    assert_string_equal(world_join_word(join, 0, WORLD_JOIN_FLOOR_EPOCH), "epoch-1");
    world_publish_joined(join);
    fake_redis_answer(join, "[['joined', '%s', %d, 0, 'epoch-2']]", alice.id, (int)world_seq());
    client_forget(alice.client);
    world_publish_message("hello");
    client_expect(alice.client, "message");
}

static void test_who_is_there_and_not_held_leaves_and_nobody_else(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    change_epoch();
    struct fake_redis_call *ours = await_question();
    assert_string_equal(fake_redis_argument(ours, 5), WORLD_GATEWAY);
    assert_string_equal(cursor_of(ours), "0");
    fake_redis_answer(ours, "['0', 'left', 'oldlife1-3', 'leftleft000', 'alice', '%s', '%s']",
                      alice.session, alice.id);
    struct fake_redis_call *leave = world_await("leave");
    assert_int_equal(world_leave_count(leave), 1);
    assert_string_equal(fake_redis_key(leave, 5), WORLD_CHANNEL ":member:left");
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), "oldlife1-3");
    world_take_off(leave);
    expect_no_more();
    client_forget(alice.client);
    world_publish_message("hello");
    client_expect(alice.client, "message");
}

static void test_an_earlier_incarnation_of_a_member_who_is_held_leaves(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "['0', 'alice', 'oldlife1-3', '%s']", alice.id);
    struct fake_redis_call *leave = world_await("leave");
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), "oldlife1-3");
    fake_redis_answer(leave, "0");
    expect_no_more();
}

static void test_all_pages_are_looked_through(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "['17', 'anna', 'oldlife1-1', 'annaanna000']");
    world_take_off(world_await("leave"));
    struct fake_redis_call *ours = world_await("ours");
    assert_string_equal(cursor_of(ours), "17");
    fake_redis_answer(ours, "['0', 'bert', 'oldlife1-2', 'bertbert000']");
    struct fake_redis_call *leave = world_await("leave");
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), "oldlife1-2");
    world_take_off(leave);
    expect_no_more();
}

static void test_where_everybody_is_held_nobody_leaves(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "['0', 'alice', '%s', '%s']", alice.session, alice.id);
    expect_no_more();
}

/* Some may be of the other process, which has the same gateway-id. */
static void test_with_another_process_of_its_id_nobody_is_asked_for(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    world_set_id_shared(true);
    loop_pass_ms(2 * SETTLED_MS);
    world_expect_none("ours");
    world_set_id_shared(false);
    fake_redis_answer(world_await("ours"), "['0']");
    expect_no_more();
}

/* --- What it must survive --- */

static void test_a_question_that_fails_is_asked_once_more(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "-OOM command not allowed");
    fake_redis_answer(await_question(), "['0']");
    expect_no_more();
}

static void test_an_answer_that_is_none_is_asked_for_once_more(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "[]");
    fake_redis_answer(await_question(), "['0']");
    expect_no_more();
}

static void test_a_cursor_that_stands_still_is_not_followed_for_ever(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "['17']");
    fake_redis_answer(world_await("ours"), "['17']");
    loop_pass_ms(A_MOMENT_MS);
    world_expect_none("ours");
}

static void test_a_leave_that_fails_is_found_again(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    fake_redis_answer(await_question(), "['0', 'left', 'oldlife1-3', 'leftleft000']");
    fake_redis_answer(world_await("leave"), "-OOM command not allowed");
    fake_redis_answer(await_question(), "['0', 'left', 'oldlife1-3', 'leftleft000']");
    world_take_off(world_await("leave"));
    expect_no_more();
}

static void test_a_question_that_is_lost_with_the_connection_is_asked_once_more(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    await_question();
    world_redis_away();
    loop_pass_ms(A_MOMENT_MS);
    world_redis_back();
    loop_pass_ms(SETTLED_MS - A_MOMENT_MS);
    fake_redis_answer(world_await("ours"), "['0']");
    expect_no_more();
}

static void test_members_that_were_broken_by_hand_are_passed_over(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    fake_redis_answer(
        await_question(),
        "['0', 'anna', null, 'annaanna000', 'bert', 'a-session-that-is-longer-than-any-"
        "of-ours-could-be', 'bertbert000', 'carl', 'oldlife1-9', 'carlcarl000', 'cut']");
    struct fake_redis_call *leave = world_await("leave");
    assert_int_equal(world_leave_count(leave), 1);
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), "oldlife1-9");
    world_take_off(leave);
    expect_no_more();
}

static void test_who_was_taken_by_somebody_stays_until_it_is_known_who_had_left(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_hold("refresh", NULL);
    change_epoch();
    fake_redis_answer(world_await("refresh"), "'g'");
    fake_redis_answer(world_await("join"), "[['taken', 2]]"); /* who has it may have left since */
    client_forget(alice.client);
    client_expect_silence(alice.client);
    loop_pass_ms(WORLD_LEASE_MS - A_MOMENT_MS);
    fake_redis_answer(world_await("refresh"), "'g'");
    struct fake_redis_call *join = world_await("join");
    world_publish_joined(join);
    fake_redis_answer(join, "[['joined', '%s', %d, 0, 'epoch-2']]", alice.id, (int)world_seq());
    client_forget(alice.client);
    world_publish_message("hello");
    client_expect(alice.client, "message");
}

static void test_a_gateway_that_ends_while_it_asks_leaves_nothing_behind(void **state)
{
    (void)state;
    world_join("alice");
    change_epoch();
    await_question();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_members_are_told_that_redis_lost_its_memory),
        TEST(test_members_are_reinstated_into_a_redis_that_lost_its_memory),
        TEST(test_who_is_there_and_not_held_leaves_and_nobody_else),
        TEST(test_an_earlier_incarnation_of_a_member_who_is_held_leaves),
        TEST(test_all_pages_are_looked_through),
        TEST(test_where_everybody_is_held_nobody_leaves),
        TEST(test_with_another_process_of_its_id_nobody_is_asked_for),
        TEST(test_a_question_that_fails_is_asked_once_more),
        TEST(test_an_answer_that_is_none_is_asked_for_once_more),
        TEST(test_a_cursor_that_stands_still_is_not_followed_for_ever),
        TEST(test_a_leave_that_fails_is_found_again),
        TEST(test_a_question_that_is_lost_with_the_connection_is_asked_once_more),
        TEST(test_members_that_were_broken_by_hand_are_passed_over),
        TEST(test_who_was_taken_by_somebody_stays_until_it_is_known_who_had_left),
        TEST(test_a_gateway_that_ends_while_it_asks_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
