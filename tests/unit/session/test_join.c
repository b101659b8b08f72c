/* Coming in: what Redis is asked, and what a client gets. (What goes wrong on the way:
 * test_join_failures.c.) */
#include "unit.h"

#include "world.h"

#define OUT_OF_REACH "unavailable"

static const char *me(const json_t *welcome, const char *field)
{
    return client_text(json_object_get(welcome, "me"), field);
}

/* --- What must hold --- */

static void test_who_asks_is_named_to_redis_with_an_id_and_a_session_of_its_own(void **state)
{
    (void)state;
    world_ask(world_connect(), "  \u00c4nne ");
    struct fake_redis_call *call = world_await("join");
    assert_int_equal(world_join_count(call), 1);
    assert_string_equal(fake_redis_key(call, 1), WORLD_CHANNEL);
    assert_string_equal(fake_redis_key(call, 4), WORLD_CHANNEL ":members");
    assert_string_equal(fake_redis_key(call, 5), WORLD_CHANNEL ":member:\u00e4nne");
    assert_string_equal(fake_redis_argument(call, 5), WORLD_GATEWAY);
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_NAME), "\u00c4nne");
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_ADDRESS), "192.0.2.1");
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_SHOWN_ADDRESS), "192.0.2.x");
    assert_int_equal(strlen(world_join_word(call, 0, WORLD_JOIN_MARK)), 3);
    assert_int_equal(strlen(world_join_word(call, 0, WORLD_JOIN_NEW_ID)), 11);
    assert_int_equal(strlen(world_join_word(call, 0, WORLD_JOIN_NEW_HASH)), 22);
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_SHOWN_ID), "");
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_REINSTATE), "0");
    assert_non_null(strchr(world_join_word(call, 0, WORLD_JOIN_SESSION), '-'));
}

static void test_who_is_let_in_is_welcomed_with_its_id_and_its_token(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    const char *id = world_join_word(call, 0, WORLD_JOIN_NEW_ID);
    world_let_in(call);
    const json_t *welcome = client_expect(client, "welcome");
    assert_string_equal(me(welcome, "id"), id);
    assert_string_equal(me(welcome, "name"), "alice");
    assert_string_equal(client_text(welcome, "room"), WORLD_ROOM);
    assert_string_equal(client_text(welcome, "epoch"), "epoch-1");
    assert_int_equal(client_number(welcome, "seq"), world_seq());
    assert_int_equal(client_number(welcome, "count"), 1);
    assert_string_equal(client_names(welcome, "members"), "alice ");
    assert_memory_equal(client_text(welcome, "resume"), id, strlen(id));
    assert_int_equal(strlen(client_text(welcome, "resume")), 34);
}

static void test_others_are_told_of_who_comes_in(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_join("bob");
    const json_t *presence = client_expect(alice.client, "presence");
    assert_string_equal(client_names(presence, "joined"), "bob ");
    assert_int_equal(client_number(presence, "count"), 2);
}

static void test_those_who_ask_at_once_share_a_call_in_the_order_in_which_they_asked(void **state)
{
    (void)state;
    world_join("first"); /* the room is open */
    struct client *clients[3];
    const char *const names[] = {"anna", "bert", "carl"};
    for (int i = 0; i < 3; i++)
        world_ask(clients[i] = world_connect(), names[i]);
    struct fake_redis_call *call = world_await("join");
    assert_int_equal(world_join_count(call), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(world_join_word(call, i, WORLD_JOIN_NAME), names[i]);
    world_let_in(call);
    for (int i = 0; i < 3; i++) {
        const json_t *welcome = client_await(clients[i], "welcome");
        assert_string_equal(me(welcome, "name"), names[i]);
        assert_string_equal(me(welcome, "id"), world_join_word(call, (size_t)i, WORLD_JOIN_NEW_ID));
    }
}

static void test_a_call_takes_sixteen_and_the_others_are_in_the_next(void **state)
{
    (void)state;
    char name[16];
    world_join("first");
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "guest%c", 'a' + i);
        world_ask(world_connect(), name);
    }
    struct fake_redis_call *call = world_await("join");
    assert_int_equal(world_join_count(call), 16);
    struct fake_redis_call *second = world_await("join");
    assert_int_equal(world_join_count(second), 4);
    world_let_in(call);
    world_let_in(second);
    loop_settle();
    world_expect_none("join");
}

static void test_those_of_one_call_are_let_in_or_refused_each_for_itself(void **state)
{
    (void)state;
    world_join("first");
    struct client *clients[4];
    const char *const names[] = {"anna", "bert", "carl", "dora"};
    for (int i = 0; i < 4; i++)
        world_ask(clients[i] = world_connect(), names[i]);
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call,
                      "[['taken', 3], ['joined', '%s', %d, 0, 'epoch-1'], ['full'], ['late']]",
                      world_join_word(call, 1, WORLD_JOIN_NEW_ID), (int)world_seq());
    const json_t *taken = client_expect_error(clients[0], "name_taken");
    assert_string_equal(client_text(taken, "suggestion"), "anna3");
    assert_string_equal(me(client_expect(clients[1], "welcome"), "name"), "bert");
    assert_int_equal(client_number(client_expect_error(clients[2], "room_full"), "retry_after"),
                     10);
    client_expect_error(clients[3], OUT_OF_REACH);
    world_expect_none("leave"); /* Redis said that they are not in */
}

static void test_who_was_refused_may_ask_again_on_the_same_connection(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    fake_redis_answer(world_await("join"), "[['taken', 0]]");
    const json_t *error = client_expect_error(client, "name_taken");
    assert_null(json_object_get(error, "suggestion"));
    world_ask(client, "alice");
    world_let_in(world_await("join"));
    client_expect(client, "welcome");
}

static void test_a_bad_name_is_refused_and_redis_is_not_asked(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, " ");
    client_expect_error(client, "bad_name");
    world_expect_none("join");
}

static void test_who_is_in_or_has_asked_cannot_join_again(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    world_ask(client, "bob");
    client_expect_error(client, "already_joined");
    world_let_in(call);
    client_expect(client, "welcome");
    world_ask(client, "bob");
    client_expect_error(client, "already_joined");
    world_expect_none("join");
}

static void test_who_has_not_joined_cannot_talk(void **state)
{
    (void)state;
    struct client *client = world_connect();
    client_send(client, "{\"type\":\"say\",\"text\":\"hello\",\"nonce\":\"n1\"}");
    const json_t *error = client_expect_error(client, "not_joined");
    assert_string_equal(client_text(error, "nonce"), "n1");
    assert_false(client_flag(error, "accepted"));
    world_expect_none("publish");
}

/* --- The order of the answer and the event --- */

static void test_the_welcome_waits_for_the_event_of_the_join(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    fake_redis_answer(call, "[['joined', '%s', %d, 0, 'epoch-1']]",
                      world_join_word(call, 0, WORLD_JOIN_NEW_ID), (int)world_seq() + 1);
    client_expect_silence(client);
    world_publish_joined(call);
    const json_t *welcome = client_expect(client, "welcome");
    assert_int_equal(client_number(welcome, "seq"), world_seq());
}

static void test_the_event_of_the_join_may_come_before_its_answer(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask(client, "alice");
    struct fake_redis_call *call = world_await("join");
    world_publish_joined(call);
    world_publish_message("meanwhile");
    client_expect_silence(client);
    fake_redis_answer(call, "[['joined', '%s', %d, 0, 'epoch-1']]",
                      world_join_word(call, 0, WORLD_JOIN_NEW_ID), (int)world_seq() - 1);
    const json_t *welcome = client_expect(client, "welcome");
    assert_int_equal(client_number(welcome, "seq"), world_seq());
    client_expect_silence(client); /* nothing that it includes comes again */
}

static void test_who_asks_while_the_room_opens_is_in_the_first_call_after_that(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_hold("roster", NULL);
    world_ask(client, "alice");
    struct fake_redis_call *roster = world_await("roster");
    world_expect_none("join");
    fake_redis_answer(roster, "['epoch-1', 7, 0, 1, 'bobbobbob00', 'bob', '', '']");
    world_let_in(world_await("join"));
    const json_t *welcome = client_expect(client, "welcome");
    assert_int_equal(json_array_size(json_object_get(welcome, "members")), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_who_asks_is_named_to_redis_with_an_id_and_a_session_of_its_own),
        TEST(test_who_is_let_in_is_welcomed_with_its_id_and_its_token),
        TEST(test_others_are_told_of_who_comes_in),
        TEST(test_those_who_ask_at_once_share_a_call_in_the_order_in_which_they_asked),
        TEST(test_a_call_takes_sixteen_and_the_others_are_in_the_next),
        TEST(test_those_of_one_call_are_let_in_or_refused_each_for_itself),
        TEST(test_who_was_refused_may_ask_again_on_the_same_connection),
        TEST(test_a_bad_name_is_refused_and_redis_is_not_asked),
        TEST(test_who_is_in_or_has_asked_cannot_join_again),
        TEST(test_who_has_not_joined_cannot_talk),
        TEST(test_the_welcome_waits_for_the_event_of_the_join),
        TEST(test_the_event_of_the_join_may_come_before_its_answer),
        TEST(test_who_asks_while_the_room_opens_is_in_the_first_call_after_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
