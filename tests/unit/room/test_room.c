/* room: what happens in it, and who is told of it. (Who came and went: test_presence_line.c.) */
#include "unit.h"

#include "room_world.h"
#include "skipping_clock.h"

/* --- What everybody gets --- */

static void test_everybody_gets_everything_in_one_order(void **state)
{
    struct room_world *world = *state;
    struct guest *first = enter(world);
    struct guest *second = enter(world);
    deliver_message(world, 1);
    deliver_presence(world, 2, "b", "", 1);
    deliver_message(world, 3);
    deliver_notice(world, "back at ten");
    assert_string_equal(got(first), "m1 p2+b=1 m3 notice:back at ten");
    assert_string_equal(got(second), "m1 p2+b=1 m3 notice:back at ten");
    deliver_typing(world);
    deliver_message(world, 4);
    assert_string_equal(got(first), "typing m4");
    assert_string_equal(got(second), "typing m4");
}

static void test_who_has_left_gets_nothing_more(void **state)
{
    struct room_world *world = *state;
    struct guest *stays = enter(world);
    struct guest *leaves = enter(world);
    deliver_message(world, 1);
    assert_string_equal(got(leaves), "m1");
    leave(leaves);
    leave(leaves); /* changes nothing */
    deliver_message(world, 2);
    assert_string_equal(got(leaves), "");
    assert_string_equal(got(stays), "m1 m2");
}

/* Whoever waits for a number may come in before what is said next, and gets that. */
static void test_its_maker_is_told_before_and_after_what_is_said(void **state)
{
    struct room_world *world = *state;
    deliver_message(world, 1);
    assert_string_equal(happened(world), "hurry@0 news@1");
    deliver_presence(world, 2, "b", "", 1);
    assert_string_equal(happened(world), "news@2");
    deliver_notice(world, "now");
    assert_string_equal(happened(world), "hurry@2");
    deliver_typing(world);
    assert_string_equal(happened(world), "");
    deliver_gap(world, 5, 0);
    deliver_epoch(world, "two");
    deliver_epoch_reset(world, "three", 3, 2);
    assert_string_equal(happened(world), "news@5 news@5 news@3");
}

static void test_what_was_sent_to_everybody_is_known_by_its_number(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_message(world, 7);
    assert_int_equal(room_delivered_seq(world->room), 0);
    assert_string_equal(got(guest), "m7");
    assert_int_equal(room_delivered_seq(world->room), 7);
}

/* --- Coming back --- */

static void test_who_comes_back_gets_what_was_missed(void **state)
{
    struct room_world *world = *state;
    deliver_message(world, 1);
    deliver_presence(world, 2, "b", "", 1);
    deliver_message(world, 3);
    struct guest *all = come_back(world, 0);
    struct guest *some = come_back(world, 2);
    struct guest *none = come_back(world, 3);
    struct guest *ahead = come_back(world, UINT64_MAX); /* what a browser says may be anything */
    assert_int_equal(all->view.missed + some->view.missed + none->view.missed, 0);
    assert_int_equal(ahead->view.missed, 0);
    deliver_message(world, 4);
    assert_string_equal(got(all), "m1 p2+b=1 m3 m4");
    assert_string_equal(got(some), "m3 m4");
    assert_string_equal(got(none), "m4");
    assert_string_equal(got(ahead), "m4");
}

static void test_what_has_no_number_is_not_shown_to_who_comes_back(void **state)
{
    struct room_world *world = *state;
    deliver_message(world, 1);
    deliver_typing(world);
    deliver_notice(world, "now");
    deliver_gap(world, 5, 2);
    deliver_epoch(world, "two");
    doubt_roster(world);
    deliver_roster(world, "a", 1);
    second_passes(world);
    deliver_message(world, 6);
    assert_string_equal(got(come_back(world, 5)), "m6");
}

static void test_what_is_kept_from_before_the_room_opened_is_shown_to_who_comes_back(void **state)
{
    struct room_world *world = *state;
    renew_room(world);
    begin_at(world, 7);
    remember_message(world, 5, 30);
    remember_presence(world, 6, 20);
    remember_message(world, 7, 10);
    assert_string_equal(got(come_back(world, 5)), "p6=1 m7");
    struct guest *guest = come_back(world, 4);
    deliver_message(world, 8);
    assert_int_equal(guest->view.missed, 0);
    assert_string_equal(got(guest), "m5 p6=1 m7 m8");
    assert_int_equal(come_back(world, 2)->view.missed, 2); /* 3 and 4 may have been messages */
}

static void test_of_more_than_are_kept_the_oldest_are_counted_as_missed(void **state)
{
    struct room_world *world = *state;
    world->config.retention_messages = 3;
    renew_room(world);
    begin_at(world, 0);
    struct guest *guest = enter(world);
    deliver_message(world, 1);
    deliver_presence(world, 2, "b", "", 1);
    for (uint64_t seq = 3; seq <= 6; seq++)
        deliver_message(world, seq);
    assert_string_equal(got(guest), "m1 p2+b=1 m3 m4 m5 m6"); /* all of it, whatever is kept */
    struct guest *late = come_back(world, 0);
    assert_int_equal(late->view.missed, 2); /* 1 and 3 */
    assert_string_equal(got(late), "m4 m5 m6");
    assert_int_equal(come_back(world, 2)->view.missed, 1);
    assert_int_equal(come_back(world, 3)->view.missed, 0);
}

static void test_where_nothing_is_kept_all_messages_are_missed(void **state)
{
    struct room_world *world = *state;
    world->config.retention = 0;
    renew_room(world);
    begin_at(world, 0);
    deliver_message(world, 1);
    deliver_presence(world, 2, "b", "", 1);
    deliver_message(world, 3);
    struct guest *guest = come_back(world, 0);
    assert_int_equal(guest->view.missed, 2);
    deliver_message(world, 4);
    assert_string_equal(got(guest), "m4");
}

/* --- Forgetting --- */

static void test_what_is_too_old_is_forgotten_here_and_in_redis(void **state)
{
    struct room_world *world = *state;
    deliver_message(world, 1);
    deliver_message(world, 2);
    assert_int_equal(second_passes(world), 0);
    clock_skip_ms((int64_t)world->config.retention * 1000 + 1);
    deliver_message(world, 3);
    assert_int_equal(second_passes(world), 2);
    assert_int_equal(second_passes(world), 0); /* told once */
    struct guest *guest = come_back(world, 0);
    assert_int_equal(guest->view.missed, 2);
    assert_string_equal(got(guest), "m3");
}

static void test_redis_need_not_be_told_when_nothing_is_left(void **state)
{
    struct room_world *world = *state;
    deliver_message(world, 1);
    clock_skip_ms((int64_t)world->config.retention * 1000 + 1);
    assert_int_equal(second_passes(world), 0);
    assert_int_equal(come_back(world, 0)->view.missed, 1);
    deliver_message(world, 2);
    assert_int_equal(second_passes(world), 1);
}

static void test_redis_is_told_of_old_coming_and_going_every_ten_seconds(void **state)
{
    struct room_world *world = *state;
    deliver_presence(world, 1, "b", "", 1);
    clock_skip_ms((int64_t)world->config.retention * 1000 + 1);
    deliver_message(world, 2);
    for (int second = 1; second < 10; second++)
        assert_int_equal(second_passes(world), 0);
    assert_int_equal(second_passes(world), 1);
}

/* --- Gaps and epochs --- */

static void test_a_gap_is_told_when_messages_were_missed(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_message(world, 1);
    deliver_gap(world, 3, 0);
    deliver_gap(world, 8, 4);
    deliver_message(world, 9);
    assert_string_equal(got(guest), "m1 gap:8/4 m9");
    assert_int_equal(world->metrics.gaps, 1);
}

static void test_who_comes_back_from_before_a_hole_is_told_how_much_was_in_it(void **state)
{
    struct room_world *world = *state;
    deliver_message(world, 1);
    deliver_message(world, 2);
    deliver_gap(world, 10, 4);
    deliver_message(world, 11);
    struct guest *before = come_back(world, 1);
    assert_int_equal(before->view.missed, 4);
    assert_string_equal(got(before), "m2 m11");
    assert_int_equal(come_back(world, 10)->view.missed, 0);
    deliver_gap(world, 20, 3);
    assert_int_equal(come_back(world, 1)->view.missed, 4 + 1 + 3); /* one hole is remembered */
    assert_int_equal(come_back(world, 11)->view.missed, 3);
}

static void test_another_epoch_without_a_fork_makes_what_was_said_nobodys(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_message(world, 8);
    deliver_message(world, 9);
    deliver_epoch_reset(world, "two", 2, 0);
    deliver_message(world, 3);
    assert_string_equal(got(guest), "m8 m9 gap:2/0 m3");
    struct guest *late = come_back(world, 2);
    assert_int_equal(late->view.seq, 3);
    assert_int_equal(late->view.missed, 0);
    assert_string_equal(got(late), "m3");
}

static void test_another_epoch_keeps_what_was_said_before_its_fork(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    for (uint64_t seq = 1; seq <= 6; seq++)
        deliver_message(world, seq);
    deliver_epoch_reset(world, "two", 4, 4);
    deliver_message(world, 5);
    assert_string_equal(got(guest), "m1 m2 m3 m4 m5 m6 gap:4/0 m5");
    struct guest *late = come_back(world, 2);
    assert_int_equal(late->view.missed, 0);
    assert_string_equal(got(late), "m3 m4 m5");
}

static void test_what_another_epoch_lost_behind_its_fork_counts_as_missed(void **state)
{
    struct room_world *world = *state;
    for (uint64_t seq = 1; seq <= 6; seq++)
        deliver_message(world, seq);
    deliver_epoch_reset(world, "two", 7, 4);
    deliver_message(world, 8);
    struct guest *late = come_back(world, 2);
    assert_int_equal(late->view.missed, 3);
    assert_string_equal(got(late), "m3 m4 m8");
}

static void test_an_epoch_that_goes_on_is_told_with_the_number(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_message(world, 1);
    deliver_epoch(world, "two");
    deliver_message(world, 2);
    assert_string_equal(got(guest), "m1 epoch:two@1 m2");
    assert_string_equal(got(come_back(world, 0)), "m1 m2");
}

/* Forks at, before and behind everything that it has, one after the other. */
static void test_any_row_of_epochs_leaves_it_in_order(void **state)
{
    static const struct {
        uint64_t seq, fork;
    } epochs[] = {{9, 9}, {0, 0}, {50, 3}, {50, 50}, {51, 50}, {1, 0}, {1, 1}, {400, 400}};
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_message(world, 9);
    for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
        uint64_t seq = epochs[i].seq;
        char expected[96];
        deliver_epoch_reset(world, "another", seq, epochs[i].fork);
        deliver_message(world, seq + 1);
        snprintf(expected, sizeof expected, "%sgap:%d/0 m%d", i == 0 ? "m9 " : "", (int)seq,
                 (int)seq + 1);
        assert_string_equal(got(guest), expected);
        struct guest *late = come_back(world, seq);
        snprintf(expected, sizeof expected, "m%d", (int)seq + 1);
        assert_int_equal(late->view.missed, 0);
        assert_string_equal(got(late), expected);
    }
}

/* --- Who does not read --- */

/* Its own socket takes some of it, and it lags behind so far that it is sent away; the others do
 * not notice. */
static void test_somebody_who_does_not_read_holds_nobody_up(void **state)
{
    enum { MESSAGES = 5000 };
    struct room_world *world = *state;
    world->config.backlog = 100000;
    world->config.retention_messages = 100;
    renew_room(world);
    begin_at(world, 0);
    struct guest *reads = enter(world);
    struct guest *sleeps = enter(world);
    char expected[16];
    for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
        deliver_message(world, seq);
        snprintf(expected, sizeof expected, "m%d", (int)seq);
        assert_string_equal(got(reads), expected);
    }
    assert_int_equal(room_delivered_seq(world->room), MESSAGES);
    for (int i = 0; i < 100 && sleeps->closed == 0; i++)
        got(sleeps); /* its socket takes more each time */
    assert_int_equal(sleeps->closed, CONNECTION_TOO_SLOW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, room_world_set_up, room_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_everybody_gets_everything_in_one_order),
        TEST(test_who_has_left_gets_nothing_more),
        TEST(test_its_maker_is_told_before_and_after_what_is_said),
        TEST(test_what_was_sent_to_everybody_is_known_by_its_number),
        TEST(test_who_comes_back_gets_what_was_missed),
        TEST(test_what_has_no_number_is_not_shown_to_who_comes_back),
        TEST(test_what_is_kept_from_before_the_room_opened_is_shown_to_who_comes_back),
        TEST(test_of_more_than_are_kept_the_oldest_are_counted_as_missed),
        TEST(test_where_nothing_is_kept_all_messages_are_missed),
        TEST(test_what_is_too_old_is_forgotten_here_and_in_redis),
        TEST(test_redis_need_not_be_told_when_nothing_is_left),
        TEST(test_redis_is_told_of_old_coming_and_going_every_ten_seconds),
        TEST(test_a_gap_is_told_when_messages_were_missed),
        TEST(test_who_comes_back_from_before_a_hole_is_told_how_much_was_in_it),
        TEST(test_another_epoch_without_a_fork_makes_what_was_said_nobodys),
        TEST(test_another_epoch_keeps_what_was_said_before_its_fork),
        TEST(test_what_another_epoch_lost_behind_its_fork_counts_as_missed),
        TEST(test_an_epoch_that_goes_on_is_told_with_the_number),
        TEST(test_any_row_of_epochs_leaves_it_in_order),
        TEST(test_somebody_who_does_not_read_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
