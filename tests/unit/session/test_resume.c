/* Coming back: with the token, within the grace and after it; the grace itself. */
#include "unit.h"

#include "world.h"

enum {
    TICKS_MS = 2000, /* what is due is done by then */
    QUIET_MS = 500,  /* no presence batch is open any more */
};

static void lose(struct member *member)
{
    client_cut(member->client);
    loop_settle();
}

/* Whoever comes in next is in no line that goes out later. */
static struct member join_and_rest(const char *name)
{
    struct member member = world_join(name);
    loop_pass_ms(QUIET_MS);
    return member;
}

static void expect_no_leave_for_long(void)
{
    loop_pass_ms(2 * WORLD_GRACE_MS);
    world_expect_none("leave");
}

/* The member leaves: in one call, which names it alone. */
static struct fake_redis_call *expect_leave(const char *session)
{
    struct fake_redis_call *leave = world_await("leave");
    assert_int_equal(world_leave_count(leave), 1);
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SESSION), session);
    assert_string_equal(world_leave_word(leave, 0, WORLD_LEAVE_SAID), "0");
    return leave;
}

/* --- The grace --- */

static void test_who_is_cut_off_stays_for_the_grace_and_leaves_then_once(void **state)
{
    (void)state;
    struct member alice = join_and_rest("alice");
    struct member bob = world_join("bob");
    lose(&alice);
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS - TICKS_MS);
    world_expect_none("leave");
    client_expect_silence(bob.client);
    loop_pass_ms(2 * TICKS_MS);
    struct fake_redis_call *leave = expect_leave(alice.session);
    assert_string_equal(fake_redis_key(leave, 5), WORLD_CHANNEL ":member:alice");
    world_take_off(leave);
    client_expect(bob.client, "presence");
    assert_int_equal(world_detached(), 0);
    expect_no_leave_for_long();
}

static void test_who_closes_the_page_stays_for_the_grace_as_well(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    client_close(alice.client, 1001);
    lose(&alice);
    assert_int_equal(world_detached(), 1);
    world_expect_none("leave");
}

static int without_grace(void **state)
{
    (void)state;
    world_open("--leave-grace=0");
    return 0;
}

static void test_without_a_grace_who_is_cut_off_leaves_at_once(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    world_take_off(expect_leave(alice.session));
    assert_int_equal(world_detached(), 0);
}

static void test_two_who_are_cut_off_leave_in_one_call(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct member bob = world_join("bob");
    lose(&alice);
    lose(&bob);
    loop_pass_ms(WORLD_GRACE_MS + TICKS_MS);
    struct fake_redis_call *leave = world_await("leave");
    assert_int_equal(world_leave_count(leave), 2);
    world_take_off(leave);
}

/* Nobody can come back while Redis is away. */
static void test_the_grace_stands_still_while_redis_is_away(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    loop_pass_ms(5000);
    world_redis_away();
    loop_pass_ms(3 * WORLD_GRACE_MS);
    world_redis_back();
    loop_pass_ms(5000); /* ten seconds of it at most are over */
    world_expect_none("leave");
    loop_pass_ms(3000 +
                 TICKS_MS); /* it is seen at a tick, and by a probe, that Redis went and came */
    world_take_off(expect_leave(alice.session));
}

/* --- Coming back within it --- */

static void test_who_comes_back_within_the_grace_neither_leaves_nor_joins(void **state)
{
    (void)state;
    struct member alice = join_and_rest("alice");
    struct member bob = world_join("bob");
    struct member before = alice;
    client_forget(alice.client);
    lose(&alice);
    loop_pass_ms(WORLD_GRACE_MS / 2);
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, world_seq());
    struct fake_redis_call *call = world_await("join");
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_SHOWN_ID), before.id);
    assert_string_not_equal(world_join_word(call, 0, WORLD_JOIN_SHOWN_HASH), "");
    assert_string_not_equal(world_join_word(call, 0, WORLD_JOIN_SESSION), before.session);
    assert_string_equal(strrchr(fake_redis_key(call, 6), ':') + 1, before.id); /* left:ID */
    world_resume(call);
    const json_t *welcome = client_expect(alice.client, "welcome");
    assert_true(client_flag(welcome, "recovered"));
    assert_string_equal(client_text(welcome, "resume"), before.token);
    assert_string_equal(client_text(json_object_get(welcome, "me"), "id"), before.id);
    assert_int_equal(client_number(welcome, "count"), 2);
    assert_int_equal(world_detached(), 0);
    expect_no_leave_for_long();
    client_expect_silence(bob.client);
}

static void test_who_comes_back_gets_what_it_missed_and_nothing_twice(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_publish_message("seen");
    client_expect(alice.client, "message");
    uint64_t seen = world_seq();
    lose(&alice);
    world_publish_message("missed one");
    world_publish_message("missed two");
    loop_settle();
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, seen);
    world_resume(world_await("join"));
    const json_t *welcome = client_expect(alice.client, "welcome");
    assert_true(client_flag(welcome, "recovered"));
    assert_string_equal(client_text(client_expect(alice.client, "message"), "text"), "missed one");
    assert_string_equal(client_text(client_expect(alice.client, "message"), "text"), "missed two");
    client_expect_silence(alice.client);
}

static void test_who_comes_back_may_be_lost_and_come_back_again(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    for (int i = 0; i < 3; i++) {
        lose(&alice);
        loop_pass_ms(WORLD_GRACE_MS - TICKS_MS);
        world_come_back(&alice);
    }
    expect_no_leave_for_long();
    lose(&alice);
    loop_pass_ms(WORLD_GRACE_MS + TICKS_MS);
    world_take_off(expect_leave(alice.session)); /* of its last incarnation */
}

static void test_who_resumes_on_another_socket_ends_the_old_one(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct client *old = alice.client;
    world_come_back(&alice);
    assert_int_equal(client_await_end(old), 4409);
    client_expect_silence(alice.client);
    client_cut(old);
    expect_no_leave_for_long();
    assert_int_equal(world_detached(), 0);
    world_publish_message("still here");
    client_expect(alice.client, "message");
}

static void test_a_token_that_cannot_be_ours_is_like_none(void **state)
{
    (void)state;
    struct client *client = world_connect();
    world_ask_again(client, "alice", "not a token at all", 3);
    struct fake_redis_call *call = world_await("join");
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_SHOWN_ID), "");
    assert_string_equal(world_join_word(call, 0, WORLD_JOIN_SHOWN_HASH), "");
    world_let_in(call);
    client_expect(client, "welcome");
}

/* --- Coming back after it --- */

/* Its token still brings back its id and what it missed; the others see a join. */
static void test_who_comes_back_after_the_grace_keeps_its_id_and_misses_nothing(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_publish_message("seen");
    client_expect(alice.client, "message");
    uint64_t seen = world_seq();
    lose(&alice);
    world_publish_message("missed");
    loop_pass_ms(WORLD_GRACE_MS + TICKS_MS);
    world_take_off(expect_leave(alice.session));
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, seen);
    struct fake_redis_call *call = world_await("join");
    world_publish_presence("", "");
    fake_redis_answer(call, "[['joined', '%s', %d, 0, 'epoch-1']]", alice.id, (int)world_seq());
    const json_t *welcome = client_expect(alice.client, "welcome");
    assert_true(client_flag(welcome, "recovered"));
    assert_string_equal(client_text(welcome, "resume"), alice.token);
    assert_string_equal(client_text(client_await(alice.client, "message"), "text"), "missed");
}

static void test_whose_token_is_worth_nothing_any_more_is_somebody_else(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    uint64_t seen = world_seq();
    world_publish_message("missed");
    lose(&alice);
    loop_pass_ms(WORLD_GRACE_MS + TICKS_MS);
    world_take_off(expect_leave(alice.session));
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, seen);
    world_let_in(world_await("join"));
    const json_t *welcome = client_expect(alice.client, "welcome");
    assert_false(client_flag(welcome, "recovered"));
    assert_int_equal(client_number(welcome, "missed"), 1);
    assert_string_not_equal(client_text(welcome, "resume"), alice.token);
    client_expect_silence(alice.client);
}

static void test_who_knows_another_epoch_is_told_of_the_gap(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    char json[256];
    alice.client = world_connect();
    snprintf(json, sizeof json,
             "{\"type\":\"join\",\"name\":\"alice\",\"resume\":\"%s\",\"since\":{\"epoch\":"
             "\"elsewhere\",\"seq\":3}}",
             alice.token);
    client_send(alice.client, json);
    world_resume(world_await("join"));
    assert_false(client_flag(client_expect(alice.client, "welcome"), "recovered"));
    const json_t *gap = client_expect(alice.client, "gap");
    assert_string_equal(client_text(gap, "epoch"), "epoch-1");
}

/* --- What it must survive --- */

/* The connection that comes back is lost before Redis has answered: the grace begins again. */
static void test_who_is_lost_while_coming_back_stays_for_the_grace(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    loop_pass_ms(WORLD_GRACE_MS / 2);
    struct client *client = world_connect();
    world_ask_again(client, "alice", alice.token, world_seq());
    struct fake_redis_call *call = world_await("join");
    client_cut(client);
    loop_settle();
    world_resume(call);
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS - TICKS_MS);
    world_expect_none("leave");
    loop_pass_ms(2 * TICKS_MS);
    world_take_off(expect_leave(world_join_word(call, 0, WORLD_JOIN_SESSION)));
    expect_no_leave_for_long();
}

/* The grace ends while Redis has not answered yet. What leaves is the old session, by its session,
 * which is not the member's any more. */
static void test_a_grace_that_ends_during_a_return_ends_the_old_incarnation_alone(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    loop_pass_ms(WORLD_GRACE_MS - TICKS_MS / 2);
    alice.client = world_connect();
    world_ask_again(alice.client, "alice", alice.token, world_seq());
    struct fake_redis_call *call = world_await("join");
    loop_pass_ms(TICKS_MS);
    world_resume(call);
    client_expect(alice.client, "welcome");
    fake_redis_answer(expect_leave(alice.session), "0");
    expect_no_leave_for_long();
    world_publish_message("still here");
    client_expect(alice.client, "message");
}

static void test_a_return_that_is_refused_leaves_the_detached_session_as_it_is(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    struct client *client = world_connect();
    world_ask_again(client, "alice", alice.token, world_seq());
    fake_redis_answer(world_await("join"), "[['late']]");
    client_expect_error(client, "unavailable");
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS + TICKS_MS);
    world_take_off(expect_leave(alice.session));
    expect_no_leave_for_long();
}

static void test_two_sockets_with_one_token_leave_the_later_one(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    struct client *first = world_connect(), *second = world_connect();
    world_ask_again(first, "alice", alice.token, world_seq());
    world_ask_again(second, "alice", alice.token, world_seq());
    struct fake_redis_call *call = world_await("join");
    assert_int_equal(world_join_count(call), 2);
    fake_redis_answer(call,
                      "[['resumed', '%s', %d, 0, 'epoch-1'], ['resumed', '%s', %d, 0, 'epoch-1']]",
                      alice.id, (int)world_seq(), alice.id, (int)world_seq());
    client_expect(second, "welcome");
    assert_int_equal(client_await_end(first), 4409);
    client_expect_silence(second);
    expect_no_leave_for_long();
}

/* --- Told by another gateway --- */

static void tell_resumed(const char *id, const char *session)
{
    world_tell_gateway("{\"type\":\"resumed\",\"id\":\"%s\",\"session\":\"%s\"}", id, session);
    loop_settle();
}

static void test_who_resumed_on_another_gateway_is_closed_here_and_does_not_leave(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    tell_resumed(alice.id, alice.session);
    assert_int_equal(client_await_end(alice.client), 4409);
    expect_no_leave_for_long();
}

static void test_a_detached_session_that_resumed_on_another_gateway_is_forgotten(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    tell_resumed(alice.id, alice.session);
    assert_int_equal(world_detached(), 0);
    tell_resumed(alice.id, alice.session); /* twice */
    expect_no_leave_for_long();
}

static void test_word_of_an_earlier_incarnation_changes_nothing(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    struct member before = alice;
    lose(&alice);
    world_come_back(&alice);
    tell_resumed(before.id, before.session);
    client_expect_silence(alice.client);
    world_publish_message("still here");
    client_expect(alice.client, "message");
}

static void test_word_that_is_none_changes_nothing(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    world_tell_gateway("resumed");
    world_tell_gateway("{\"type\":\"resumed\"}");
    world_tell_gateway("{\"type\":\"resumed\",\"id\":7,\"session\":[]}");
    world_tell_gateway("{\"type\":\"resumed\",\"id\":\"%0200d\",\"session\":\"%0200d\"}", 1, 1);
    tell_resumed("nobodyhere0", alice.session);
    client_expect_silence(alice.client);
}

/* They are on their way to another gateway. */
static void test_who_goes_while_this_gateway_goes_away_neither_stays_nor_leaves(void **state)
{
    (void)state;
    struct member alice = world_join("alice"), bob = world_join("bob");
    lose(&bob);
    world_drain_members();
    client_expect(alice.client, "reconnect");
    lose(&alice);
    assert_int_equal(world_detached(), 1);
    loop_pass_ms(WORLD_GRACE_MS + TICKS_MS);
    world_take_off(expect_leave(bob.session));
    expect_no_leave_for_long();
}

static void test_a_gateway_that_ends_with_detached_sessions_leaves_nothing_behind(void **state)
{
    (void)state;
    struct member alice = world_join("alice");
    lose(&alice);
    assert_int_equal(world_detached(), 1);
}

int main(void)
{
#define TEST(name)          cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
#define WITHOUT_GRACE(name) cmocka_unit_test_setup_teardown(name, without_grace, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_cut_off_stays_for_the_grace_and_leaves_then_once),
        TEST(test_who_closes_the_page_stays_for_the_grace_as_well),
        WITHOUT_GRACE(test_without_a_grace_who_is_cut_off_leaves_at_once),
        TEST(test_two_who_are_cut_off_leave_in_one_call),
        TEST(test_the_grace_stands_still_while_redis_is_away),
        TEST(test_who_comes_back_within_the_grace_neither_leaves_nor_joins),
        TEST(test_who_comes_back_gets_what_it_missed_and_nothing_twice),
        TEST(test_who_comes_back_may_be_lost_and_come_back_again),
        TEST(test_who_resumes_on_another_socket_ends_the_old_one),
        TEST(test_a_token_that_cannot_be_ours_is_like_none),
        TEST(test_who_comes_back_after_the_grace_keeps_its_id_and_misses_nothing),
        TEST(test_whose_token_is_worth_nothing_any_more_is_somebody_else),
        TEST(test_who_knows_another_epoch_is_told_of_the_gap),
        TEST(test_who_is_lost_while_coming_back_stays_for_the_grace),
        TEST(test_a_grace_that_ends_during_a_return_ends_the_old_incarnation_alone),
        TEST(test_a_return_that_is_refused_leaves_the_detached_session_as_it_is),
        TEST(test_two_sockets_with_one_token_leave_the_later_one),
        TEST(test_who_resumed_on_another_gateway_is_closed_here_and_does_not_leave),
        TEST(test_a_detached_session_that_resumed_on_another_gateway_is_forgotten),
        TEST(test_word_of_an_earlier_incarnation_changes_nothing),
        TEST(test_word_that_is_none_changes_nothing),
        TEST(test_who_goes_while_this_gateway_goes_away_neither_stays_nor_leaves),
        TEST(test_a_gateway_that_ends_with_detached_sessions_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
