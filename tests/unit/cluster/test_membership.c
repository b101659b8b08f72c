/* This gateway's hold on its id, and where others find it and its rooms. */
#include "unit.h"

#include "world.h"

#define LEASE    "yukizuri:gateway:" WORLD_GATEWAY
#define GATEWAYS "yukizuri:gateways"
#define ROOMS    LEASE ":rooms"
#define GONE     LEASE ":gone"

enum { A_THIRD_MS = WORLD_LEASE_MS / 3, LOOK_AGAIN_MS = 200, A_MOMENT_MS = 500 };

static int setup(void **state)
{
    (void)state;
    world_open_membership();
    return 0;
}

/* Arguments of lease.lua. */
static const char *step_of(const struct fake_redis_call *call)
{
    return fake_redis_argument(call, 3);
}

static const char *silent_of(const struct fake_redis_call *call)
{
    return fake_redis_argument(call, 5);
}

static struct fake_redis_call *await_lease(const char *step)
{
    struct fake_redis_call *call = world_await("lease");
    assert_string_equal(fake_redis_key(call, 1), LEASE);
    assert_string_equal(step_of(call), step);
    return call;
}

static void answer_lease(struct fake_redis_call *call, const char *outcome)
{
    fake_redis_answer(call, "['%s', 0, 0, 'ours 1', '']", outcome);
}

/* What another incarnation shows of itself. */
static void answer_other(struct fake_redis_call *call, const char *outcome, const char *seen)
{
    fake_redis_answer(call, "['%s', 0, 0, '%s', ':8080']", outcome, seen);
}

static void take(void)
{
    answer_lease(await_lease("start"), "acquired");
    assert_string_equal(world_told(), "taken ");
}

static void expect_no_join(void)
{
    struct client *client = world_connect();
    world_ask(client, "alice");
    client_expect_error(client, "unavailable");
    world_expect_none("join");
}

/* --- Taking it --- */

static void test_nobody_comes_in_until_the_lease_is_taken(void **state)
{
    (void)state;
    struct fake_redis_call *call = await_lease("start");
    assert_string_equal(fake_redis_argument(call, 2), "10000");
    assert_string_equal(silent_of(call), "");
    expect_no_join();
    assert_string_equal(world_told(), "");
    answer_lease(call, "acquired");
    assert_string_equal(world_told(), "taken ");
    world_join("alice");
}

static void test_this_gateway_is_noted_where_others_look_and_the_note_expires(void **state)
{
    (void)state;
    take();
    assert_string_equal(fake_redis_argument(world_last("keep", GATEWAYS), 1), "240");
    assert_string_equal(fake_redis_argument(world_last("keep", GATEWAYS), 2), WORLD_GATEWAY);
}

/* Should this gateway die, it has not stopped. */
static void test_the_word_that_an_earlier_incarnation_has_stopped_is_taken_off(void **state)
{
    (void)state;
    take();
    assert_non_null(world_last("DEL", GONE));
}

static void test_who_has_the_lease_and_renews_it_twice_is_alive_and_has_the_id(void **state)
{
    (void)state;
    answer_other(await_lease("start"), "held", "other 1");
    assert_string_equal(world_told(), "waiting ");
    answer_other(await_lease("start"), "held", "other 2");
    loop_pass_ms(A_MOMENT_MS);
    answer_other(await_lease("start"), "held", "other 2");
    assert_string_equal(world_told(), "");
    answer_other(await_lease("start"), "held", "other 3");
    assert_string_equal(world_told(), "refused ");
    loop_pass_ms(WORLD_LEASE_MS);
    world_expect_none("lease");
}

/* What a dead process left in a buffer comes in one go. */
static void test_two_renewals_at_once_do_not_show_that_another_lives(void **state)
{
    (void)state;
    answer_other(await_lease("start"), "held", "other 1");
    answer_other(await_lease("start"), "held", "other 2");
    answer_other(await_lease("start"), "held", "other 3");
    assert_string_equal(world_told(), "waiting ");
    answer_lease(await_lease("start"), "acquired"); /* it has run out */
    assert_string_equal(world_told(), "waiting-no-more taken ");
}

static void test_who_is_silent_for_a_second_is_dead_and_its_lease_is_taken_over(void **state)
{
    (void)state;
    struct fake_redis_call *call = await_lease("start");
    for (int i = 0; i < 10 && silent_of(call)[0] == '\0'; i++) {
        answer_other(call, "suspect", "other 1");
        loop_pass_ms(LOOK_AGAIN_MS);
        call = await_lease("start");
    }
    assert_string_equal(silent_of(call), "other 1");
    answer_lease(call, "taken-over");
    assert_string_equal(world_told(), "waiting waiting-no-more taken ");
}

static void test_who_shows_itself_again_is_not_silent(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        answer_other(await_lease("start"), "suspect", "other 1");
        loop_pass_ms(LOOK_AGAIN_MS);
    }
    answer_other(await_lease("start"), "held", "other 1");
    loop_pass_ms(LOOK_AGAIN_MS);
    for (int i = 0; i < 4; i++) {
        struct fake_redis_call *call = await_lease("start");
        assert_string_equal(silent_of(call), "");
        answer_other(call, "suspect", "other 1");
        loop_pass_ms(LOOK_AGAIN_MS);
    }
}

/* --- Keeping it --- */

static void test_it_is_renewed_three_times_in_a_lease(void **state)
{
    (void)state;
    take();
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    size_t before = world_count("lease");
    loop_pass_ms(3 * WORLD_LEASE_MS);
    assert_in_range(world_count("lease") - before, 8, 10);
    assert_string_equal(step_of(world_last("lease", LEASE)), "renew");
    assert_string_equal(world_told(), "");
}

static void test_a_lease_that_had_run_out_is_ours_again_and_members_are_looked_after(void **state)
{
    (void)state;
    take();
    loop_pass_ms(A_THIRD_MS);
    answer_lease(await_lease("renew"), "acquired");
    assert_string_equal(world_told(), "lapsed ");
    loop_pass_ms(A_THIRD_MS);
    answer_lease(await_lease("renew"), "renewed");
    assert_string_equal(world_told(), "");
}

static void test_who_finds_a_successor_goes_away_once(void **state)
{
    (void)state;
    take();
    loop_pass_ms(A_THIRD_MS);
    answer_other(await_lease("renew"), "lost", "other 1");
    assert_string_equal(world_told(), "superseded shared ");
    loop_pass_ms(A_THIRD_MS);
    answer_other(await_lease("renew"), "lost", "other 2");
    assert_string_equal(world_told(), "");
}

static void test_an_earlier_process_that_drains_shares_the_id_until_it_is_gone(void **state)
{
    (void)state;
    fake_redis_answer(await_lease("start"), "['taken-over', 4000, 0, 'other 5', '']");
    assert_string_equal(world_told(), "taken shared ");
    loop_pass_ms(A_THIRD_MS);
    fake_redis_answer(await_lease("renew"), "['renewed', 900, 0, 'ours 2', '']");
    assert_string_equal(world_told(), "");
    loop_pass_ms(A_THIRD_MS);
    fake_redis_answer(await_lease("renew"), "['renewed', 0, 0, 'ours 3', '']");
    assert_string_equal(world_told(), "alone ");
}

/* --- Rooms --- */

static void test_a_room_is_noted_when_it_opens_and_no_more_when_it_closes(void **state)
{
    (void)state;
    take();
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    world_when("SCARD", ROOMS, "1");
    world_open_room("den");
    assert_string_equal(fake_redis_argument(world_last("keep", ROOMS), 2), "den");
    assert_string_equal(fake_redis_argument(world_last("keep", ROOMS), 1), "240");
    assert_null(world_last("SREM", ROOMS));
    world_close_rooms();
    assert_string_equal(fake_redis_argument(world_last("SREM", ROOMS), 2), "den");
}

static void test_rooms_are_written_again_where_redis_has_another_number_of_them(void **state)
{
    (void)state;
    take();
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    world_when("SCARD", ROOMS, "1");
    world_open_room("den");
    loop_pass_ms(WORLD_LEASE_MS);
    size_t before = world_count_of("keep", ROOMS);
    loop_pass_ms(WORLD_LEASE_MS);
    assert_int_equal(world_count_of("keep", ROOMS), before);
    world_when("SCARD", ROOMS, "0"); /* lost */
    loop_pass_ms(A_THIRD_MS);
    assert_true(world_count_of("keep", ROOMS) > before);
    assert_null(world_last("DEL", ROOMS));
    world_when("SCARD", ROOMS, "3"); /* left over */
    loop_pass_ms(A_THIRD_MS);
    assert_non_null(world_last("DEL", ROOMS));
}

/* A successor may have them open, and who does not move is looked for there. */
static void test_a_gateway_that_goes_away_leaves_its_rooms_noted(void **state)
{
    (void)state;
    take();
    world_when("lease", NULL, "['renewed', 0, 0, 'ours 2', '']");
    world_open_room("den");
    world_drain();
    world_close_rooms();
    assert_null(world_last("SREM", ROOMS));
    assert_null(world_last("DEL", ROOMS));
}

/* --- Giving it back --- */

static void test_going_away_is_marked_at_once_and_with_each_renewal(void **state)
{
    (void)state;
    take();
    world_drain();
    answer_lease(await_lease("drain"), "renewed");
    loop_pass_ms(A_THIRD_MS);
    answer_lease(await_lease("drain"), "shared");
    assert_string_equal(world_told(), "shared ");
    loop_pass_ms(A_THIRD_MS);
    answer_lease(await_lease("drain"), "shared");
    assert_string_equal(world_told(), "");
}

static void test_where_no_room_was_open_nobody_need_look(void **state)
{
    (void)state;
    take();
    assert_true(world_give_back());
    struct fake_redis_call *call = await_lease("leave");
    assert_string_equal(world_told(), "");
    answer_lease(call, "gone");
    assert_string_equal(world_told(), "left ");
    assert_string_equal(fake_redis_argument(world_last("SREM", GATEWAYS), 2), WORLD_GATEWAY);
    assert_non_null(world_last("DEL", ROOMS));
    assert_string_equal(fake_redis_argument(world_last("SET", GONE), 2), "1");
}

static void test_where_a_room_was_open_others_look_after_the_grace(void **state)
{
    (void)state;
    take();
    world_open_room("den");
    assert_true(world_give_back());
    answer_lease(await_lease("leave"), "gone");
    assert_string_equal(world_told(), "left ");
    assert_null(world_last("SREM", GATEWAYS));
    assert_null(world_last("DEL", ROOMS));
    assert_non_null(world_last("SET", GONE));
}

static void test_where_another_incarnation_goes_on_nothing_is_said_of_the_end(void **state)
{
    (void)state;
    take();
    assert_true(world_give_back());
    answer_lease(await_lease("leave"), "left");
    assert_string_equal(world_told(), "left ");
    assert_null(world_last("SET", GONE));
    assert_null(world_last("SREM", GATEWAYS));
}

static void test_who_has_no_lease_has_nothing_to_give_back(void **state)
{
    (void)state;
    assert_false(world_give_back());
    answer_lease(await_lease("start"), "acquired");
    world_told();
    assert_true(world_give_back());
    assert_false(world_give_back());
}

/* --- What it must survive --- */

static void test_a_start_that_fails_is_tried_again(void **state)
{
    (void)state;
    fake_redis_answer(await_lease("start"), "-OOM command not allowed");
    answer_other(await_lease("start"), "held", "other 1");
    assert_string_equal(world_told(), "waiting ");
    fake_redis_answer(await_lease("start"), "-OOM command not allowed");
    assert_string_equal(world_told(), "waiting-no-more ");
    take();
}

static void test_a_start_that_is_lost_with_the_connection_is_tried_again(void **state)
{
    (void)state;
    await_lease("start");
    world_redis_away();
    world_redis_back();
    take();
}

static void test_what_was_seen_of_another_in_an_earlier_redis_counts_no_more(void **state)
{
    (void)state;
    answer_other(await_lease("start"), "held", "other 1");
    answer_other(await_lease("start"), "held", "other 2");
    world_redis_away();
    loop_pass_ms(A_MOMENT_MS);
    world_redis_back();
    answer_other(await_lease("start"), "held", "other 3");
    assert_null(strstr(world_told(), "refused"));
}

static void test_a_renewal_that_fails_is_no_lapse(void **state)
{
    (void)state;
    take();
    loop_pass_ms(A_THIRD_MS);
    fake_redis_answer(await_lease("renew"), "-OOM command not allowed");
    loop_pass_ms(A_THIRD_MS);
    answer_lease(await_lease("renew"), "renewed");
    assert_string_equal(world_told(), "");
}

static void test_a_redis_that_is_back_is_asked_at_once(void **state)
{
    (void)state;
    take();
    world_redis_away();
    loop_pass_ms(A_MOMENT_MS);
    size_t before = world_count_of("keep", GATEWAYS);
    world_redis_back();
    answer_lease(await_lease("renew"), "acquired"); /* it has forgotten */
    assert_string_equal(world_told(), "lapsed ");
    assert_true(world_count_of("keep", GATEWAYS) > before);
}

static void test_an_answer_that_is_none_changes_nothing(void **state)
{
    (void)state;
    take();
    loop_pass_ms(A_THIRD_MS);
    fake_redis_answer(await_lease("renew"), "7");
    loop_pass_ms(A_THIRD_MS);
    fake_redis_answer(await_lease("renew"), "[]");
    loop_pass_ms(A_THIRD_MS);
    fake_redis_answer(await_lease("renew"), "['something']");
    assert_string_equal(world_told(), "");
}

static void test_a_redis_that_is_lost_when_the_lease_is_given_back_ends_it(void **state)
{
    (void)state;
    take();
    assert_true(world_give_back());
    await_lease("leave");
    world_redis_away();
    assert_string_equal(world_told(), "left ");
    assert_null(world_last("SET", GONE));
}

static void test_without_redis_nothing_is_given_back(void **state)
{
    (void)state;
    take();
    world_redis_away();
    assert_false(world_give_back());
    assert_string_equal(world_told(), "");
}

static void test_a_gateway_that_ends_while_it_waits_leaves_nothing_behind(void **state)
{
    (void)state;
    answer_other(await_lease("start"), "held", "other 1");
    await_lease("start");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_comes_in_until_the_lease_is_taken),
        TEST(test_this_gateway_is_noted_where_others_look_and_the_note_expires),
        TEST(test_the_word_that_an_earlier_incarnation_has_stopped_is_taken_off),
        TEST(test_who_has_the_lease_and_renews_it_twice_is_alive_and_has_the_id),
        TEST(test_two_renewals_at_once_do_not_show_that_another_lives),
        TEST(test_who_is_silent_for_a_second_is_dead_and_its_lease_is_taken_over),
        TEST(test_who_shows_itself_again_is_not_silent),
        TEST(test_it_is_renewed_three_times_in_a_lease),
        TEST(test_a_lease_that_had_run_out_is_ours_again_and_members_are_looked_after),
        TEST(test_who_finds_a_successor_goes_away_once),
        TEST(test_an_earlier_process_that_drains_shares_the_id_until_it_is_gone),
        TEST(test_a_room_is_noted_when_it_opens_and_no_more_when_it_closes),
        TEST(test_rooms_are_written_again_where_redis_has_another_number_of_them),
        TEST(test_a_gateway_that_goes_away_leaves_its_rooms_noted),
        TEST(test_going_away_is_marked_at_once_and_with_each_renewal),
        TEST(test_where_no_room_was_open_nobody_need_look),
        TEST(test_where_a_room_was_open_others_look_after_the_grace),
        TEST(test_where_another_incarnation_goes_on_nothing_is_said_of_the_end),
        TEST(test_who_has_no_lease_has_nothing_to_give_back),
        TEST(test_a_start_that_fails_is_tried_again),
        TEST(test_a_start_that_is_lost_with_the_connection_is_tried_again),
        TEST(test_what_was_seen_of_another_in_an_earlier_redis_counts_no_more),
        TEST(test_a_renewal_that_fails_is_no_lapse),
        TEST(test_a_redis_that_is_back_is_asked_at_once),
        TEST(test_an_answer_that_is_none_changes_nothing),
        TEST(test_a_redis_that_is_lost_when_the_lease_is_given_back_ends_it),
        TEST(test_without_redis_nothing_is_given_back),
        TEST(test_a_gateway_that_ends_while_it_waits_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
