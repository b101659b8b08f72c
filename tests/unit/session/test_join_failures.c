/* Coming in when something goes wrong on the way: with Redis, with its answer, with the client. */
#include "unit.h"

#include "world.h"

#define OUT_OF_REACH "unavailable"

static void test_without_redis_a_join_is_refused_at_once(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_redis_away();
    world_ask(client, "alice");
    assert_int_equal(client_number(client_expect_error(client, OUT_OF_REACH), "retry_after"), 1);
    world_redis_back();
    world_expect_none("join");
    world_ask(client, "alice");
    world_let_in(world_await("join"));
    client_expect(client, "welcome");
}

static void test_a_room_that_does_not_open_in_time_refuses_who_waits(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_hold("roster", NULL);
    world_ask(client, "alice");
    world_await("roster");
    loop_pass_ms(WORLD_DEADLINE_MS + 2000);
    client_expect_error(client, OUT_OF_REACH);
    assert_int_equal(world_count("join"), 0);
    assert_int_equal(world_refused(REFUSAL_JOIN_TIME), 1);
}

/* Perhaps it was carried out, and on its way through an old connection when that ended: two answers
 * are wanted. */
static void expect_taken_back(const char *session, const char *spared)
{
    for (int i = 0; i < 2; i++) {
        struct fake_redis_call *leave = world_await("leave");
        assert_int_equal(world_leave_count(leave), 1);
        assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), session);
        assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SAID), "0");
        assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SPARED), spared);
        fake_redis_answer(leave, "0");
    }
}

static void expect_no_more_leaves(void)
{
    loop_pass_ms(3000);
    world_expect_none("leave");
}

static void check_that_an_answer_takes_the_join_back(const char *answer)
{
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "%s", answer);
    client_expect_error(client, OUT_OF_REACH);
    expect_taken_back(world_join_word(call, 0, WORLD_JOIN_SESSION), "");
    expect_no_more_leaves();
}

static void test_a_join_that_ends_in_an_error_is_taken_back(void **state)
{
    (void)state;
    check_that_an_answer_takes_the_join_back("-OOM command not allowed");
}

static void test_a_join_whose_answer_is_no_array_is_taken_back(void **state)
{
    (void)state;
    check_that_an_answer_takes_the_join_back("'joined'");
}

static void test_a_join_whose_answer_tells_of_nobody_is_taken_back(void **state)
{
    (void)state;
    check_that_an_answer_takes_the_join_back("[]");
}

static void test_a_join_whose_answer_has_too_long_an_id_is_taken_back(void **state)
{
    (void)state;
    check_that_an_answer_takes_the_join_back(
        "[['joined', 'an-id-that-is-too-long', 8, 0, 'epoch-1']]");
}

static void test_a_join_whose_answer_has_no_epoch_is_taken_back(void **state)
{
    (void)state;
    check_that_an_answer_takes_the_join_back("[['joined', 'abcdefghijk', 8, 0, '']]");
}

static void test_an_answer_for_one_of_two_takes_back_the_other_alone(void **state)
{
    (void)state;
    world_join("first");
    struct client *anna = world_connect(), *bert = world_connect();
    world_ask(anna, "anna");
    world_ask(bert, "bert");
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "[['joined', '%s', %d, 0, 'epoch-1']]",
                      world_join_word(call, 0, WORLD_JOIN_NEW_ID), (int)world_seq());
    client_expect(anna, "welcome");
    client_expect_error(bert, OUT_OF_REACH);
    expect_taken_back(world_join_word(call, 1, WORLD_JOIN_SESSION), "");
}

static void test_a_join_whose_answer_is_lost_with_the_connection_is_taken_back(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    world_redis_away();
    client_expect_error(client, OUT_OF_REACH);
    assert_int_equal(world_count("leave"), 0);
    world_redis_back();
    expect_taken_back(world_join_word(call, 0, WORLD_JOIN_SESSION), "");
    expect_no_more_leaves();
}

static void test_a_join_that_redis_does_not_answer_is_taken_back(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    loop_pass_ms(WORLD_DEADLINE_MS + 2000);
    client_expect_error(client, OUT_OF_REACH);
    fake_redis_answer(call, "[['joined', '%s', 8, 0, 'epoch-1']]", /* nobody waits for it */
                      world_join_word(call, 0, WORLD_JOIN_NEW_ID));
    expect_taken_back(world_join_word(call, 0, WORLD_JOIN_SESSION), "");
    client_expect_silence(client);
}

/* It stays a member for the grace: it may have come back on another gateway. */
static void test_a_return_whose_answer_is_lost_keeps_its_place_for_the_grace(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    client_cut(alice.client);
    loop_settle();
    struct client *client = world_connect();
    world_ask_again(client, "alice", alice.token, world_seq());
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "-ERR something");
    client_expect_error(client, OUT_OF_REACH);
    expect_taken_back(world_join_word(call, 0, WORLD_JOIN_SESSION), alice.id);
    loop_pass_ms(WORLD_GRACE_MS / 2);
    world_expect_none("leave");
    loop_pass_ms(WORLD_GRACE_MS / 2 + 2000);
    bool taken_off = false;
    for (int i = 0; i < 2; i++) { /* the detached, and what may have come back */
        struct fake_redis_call *leave = world_await("leave");
        for (size_t j = 0; j < world_leave_count(leave); j++) {
            assert_string_equal(world_leave_word(leave, j, WORLD_LEAVE_SPARED), "");
            taken_off |= strcmp(world_leave_word(leave, j, WORLD_LEAVE_SESSION),
                                world_join_word(call, 0, WORLD_JOIN_SESSION)) == 0;
        }
        fake_redis_answer(leave, "9");
        if (world_leave_count(leave) == 2)
            break;
    }
    assert_true(taken_off);
}

static void test_a_join_is_repeated_once_by_a_redis_that_has_lost_its_scripts(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    size_t loaded = world_count("SCRIPT");
    fake_redis_answer(call, "-NOSCRIPT No matching script.");
    struct fake_redis_call *again = world_await("join");
    assert_int_equal(world_count("SCRIPT"), loaded + 1);
    for (size_t i = 1; fake_redis_argument(call, i) != NULL; i++)
        assert_string_equal(fake_redis_argument(call, i), fake_redis_argument(again, i));
    client_expect_silence(client);
    world_let_in(again);
    client_expect(client, "welcome");
}

static void test_a_join_that_finds_no_script_twice_is_taken_back(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "-NOSCRIPT No matching script.");
    fake_redis_answer(world_await("join"), "-NOSCRIPT No matching script.");
    client_expect_error(client, OUT_OF_REACH);
    expect_taken_back(world_join_word(call, 0, WORLD_JOIN_SESSION), "");
    world_expect_none("join");
}

static void test_who_is_gone_before_the_call_is_made_is_not_asked_for(void **state)
{
    (void)state;
    world_join("first");
    struct client *client = world_connect();
    world_ask(client, "alice");
    client_close(client, 1000);
    client_cut(client);
    world_expect_none("join");
    world_expect_none("leave");
    assert_int_equal(world_detached(), 0);
}

/* Nobody else knows that it is in, and it does not know its token. */
static void test_who_is_gone_when_the_answer_comes_leaves_after_the_grace(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    client_cut(client);
    loop_settle();
    world_let_in(call);
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS - 2000);
    world_expect_none("leave");
    loop_pass_ms(4000);
    struct fake_redis_call *leave = world_await("leave");
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION),
                        world_join_word(call, 0, WORLD_JOIN_SESSION));
    world_take_off(leave);
    assert_int_equal(world_detached(), 0);
}

static void test_who_is_gone_when_it_is_refused_is_forgotten(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    client_cut(client);
    loop_settle();
    fake_redis_answer(call, "[['taken', 2]]");
    assert_int_equal(world_detached(), 0);
    expect_no_more_leaves();
}

static void test_who_is_gone_when_the_answer_is_an_error_is_taken_back(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    client_cut(client);
    loop_settle();
    fake_redis_answer(call, "-ERR something");
    expect_taken_back(world_join_word(call, 0, WORLD_JOIN_SESSION), "");
    expect_no_more_leaves();
}

static void test_who_is_gone_between_the_answer_and_the_event_is_detached(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "[['joined', '%s', %d, 0, 'epoch-1']]",
                      world_join_word(call, 0, WORLD_JOIN_NEW_ID), (int)world_seq() + 1);
    client_expect_silence(client);
    client_cut(client);
    loop_settle();
    world_publish_joined(call);
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS + 2000);
    world_take_off(world_await("leave"));
    expect_no_more_leaves();
}

/* The room does not get so far: what it would be shown of it would not hold. */
static void test_who_is_in_and_whose_event_does_not_come_is_refused_and_leaves(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "[['joined', '%s', 99, 0, 'epoch-1']]",
                      world_join_word(call, 0, WORLD_JOIN_NEW_ID));
    loop_pass_ms(WORLD_DEADLINE_MS + 2000);
    client_expect_error(client, OUT_OF_REACH);
    assert_int_equal(world_refused(REFUSAL_JOIN_TIME), 1);
    struct fake_redis_call *leave = world_await("leave");
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION),
                        world_join_word(call, 0, WORLD_JOIN_SESSION));
    fake_redis_answer(leave, "0");
    expect_no_more_leaves();
}

/* Redis answers nobody then; of a cluster one node alone may be silent. */
static void test_where_there_is_one_redis_nobody_is_let_in_before_bans_are_known(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    client_cut(alice.client);
    loop_settle(); /* nobody is there from this address; its room is open */
    world_redis_tells_no_bans();
    world_ask(world_connect(), "bob");
    loop_pass_ms(WORLD_DEADLINE_MS / 2);
    world_expect_none("join");
}

static void test_a_gateway_that_ends_with_joins_under_way_leaves_nothing_behind(void **state)
{
    (void)state;
    world_join("first");
    world_ask(world_connect(), "alice");
    world_await("join");
    world_hold("roster", NULL);
    world_ask(world_connect(), "bob");
    loop_settle();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_redis_a_join_is_refused_at_once),
        TEST(test_a_room_that_does_not_open_in_time_refuses_who_waits),
        TEST(test_a_join_that_ends_in_an_error_is_taken_back),
        TEST(test_a_join_whose_answer_is_no_array_is_taken_back),
        TEST(test_a_join_whose_answer_tells_of_nobody_is_taken_back),
        TEST(test_a_join_whose_answer_has_too_long_an_id_is_taken_back),
        TEST(test_a_join_whose_answer_has_no_epoch_is_taken_back),
        TEST(test_an_answer_for_one_of_two_takes_back_the_other_alone),
        TEST(test_a_join_whose_answer_is_lost_with_the_connection_is_taken_back),
        TEST(test_a_join_that_redis_does_not_answer_is_taken_back),
        TEST(test_a_return_whose_answer_is_lost_keeps_its_place_for_the_grace),
        TEST(test_a_join_is_repeated_once_by_a_redis_that_has_lost_its_scripts),
        TEST(test_a_join_that_finds_no_script_twice_is_taken_back),
        TEST(test_who_is_gone_before_the_call_is_made_is_not_asked_for),
        TEST(test_who_is_gone_when_the_answer_comes_leaves_after_the_grace),
        TEST(test_who_is_gone_when_it_is_refused_is_forgotten),
        TEST(test_who_is_gone_when_the_answer_is_an_error_is_taken_back),
        TEST(test_who_is_gone_between_the_answer_and_the_event_is_detached),
        TEST(test_who_is_in_and_whose_event_does_not_come_is_refused_and_leaves),
        TEST(test_where_there_is_one_redis_nobody_is_let_in_before_bans_are_known),
        TEST(test_a_gateway_that_ends_with_joins_under_way_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
