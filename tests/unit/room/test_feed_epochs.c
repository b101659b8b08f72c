/* feed: what becomes of a room's events when Redis goes on with another history: after a restart, a
 * promotion, or the loss of its memory. */
#include "unit.h"

#include "feed_world.h"

/* The kept events are asked for, and the answer is of this epoch; they were asked for from `after`
 * on. */
static void answer_in(struct feed_world *world, uint64_t after, const char *epoch,
                      const char *forks, uint64_t head, const char *events)
{
    give_kept(world, after, (struct kept_answer){epoch, head, head, forks, NULL, events});
}

static void test_an_epoch_that_goes_on_from_the_last_event_is_no_gap(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 10);
    publish(world, "m11");
    answer_in(world, 10, "two", "one:10", 11, "m11/11");
    assert_string_equal(delivered(world), "epoch:two m11");
    publish(world, "m12");
    assert_string_equal(delivered(world), "m12");
}

/* More than once, unnoticed: what was delivered is in all of them. */
static void test_several_epochs_that_go_on_from_the_last_event_are_no_gap(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    doubt_epoch(world);
    answer_in(world, 10, "four", "one:12 two:15 three:15", 16,
              "m11/11 m12/12 m13/13 m14/14 m15/15 m16/16");
    assert_string_equal(delivered(world), "epoch:four m11 m12 m13 m14 m15 m16");
}

static void
test_an_epoch_that_forked_before_the_last_event_begins_again_behind_the_fork(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 7);
    answer_in(world, 10, "two", "one:7", 9, "");
    fake_redis_settle(world->fake);
    assert_false(is_settled(world));
    answer_in(world, 7, "two", "one:7", 9, "m8/8 m9/9");
    assert_string_equal(delivered(world), "reset:7/7 m8 m9");
    assert_true(is_settled(world));
    publish(world, "m10");
    assert_string_equal(delivered(world), "m10");
}

static void test_behind_a_fork_what_is_not_kept_has_passed_unseen(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 7);
    answer_in(world, 10, "two", "one:7", 20, "");
    answer_in(world, 7, "two", "one:7", 20, "m15/15 m20/20");
    assert_string_equal(delivered(world), "reset:14/7 m15 gap:19/4 m20");
}

static void test_an_unknown_epoch_begins_again_from_its_beginning(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 0);
    publish(world, "m1");
    answer_in(world, 10, "two", "", 1, "");
    answer_in(world, 0, "two", "", 2, "m1/1 m2/2");
    assert_string_equal(delivered(world), "reset:0/0 m1 m2");
}

static void test_an_unknown_epoch_of_which_nothing_is_kept_begins_at_its_head(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 0);
    answer_in(world, 10, "two", "", 5, "");
    answer_in(world, 0, "two", "", 5, "");
    assert_string_equal(delivered(world), "reset:5/0");
    publish(world, "m6");
    assert_string_equal(delivered(world), "m6");
}

/* Redis lost its memory, and nobody published that: the first thing that is seen of the new epoch
 * is a number that was there before. */
static void test_an_old_number_shows_that_the_epoch_is_another(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish(world, "m1");
    answer_in(world, 10, "two", "", 1, "");
    answer_in(world, 0, "two", "", 1, "m1/1");
    assert_string_equal(delivered(world), "reset:0/0 m1");
}

static void test_a_head_that_was_set_back_by_hand_starts_over(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish(world, "m5");
    answer_in(world, 10, "one", "", 5, "");
    answer_in(world, 0, "one", "", 5, "m4/4 m5/5");
    assert_string_equal(delivered(world), "reset:3/0 m4 m5");
}

static void test_the_epoch_that_it_is_in_is_no_news(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "one", 10);
    publish_epoch(world, "one", 3);
    publish(world, "m11");
    assert_string_equal(delivered(world), "m11");
    assert_int_equal(kept_calls(world), 1);
}

static void test_somebody_who_knows_another_epoch_makes_it_look(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    doubt_epoch(world);
    doubt_epoch(world);
    answer_in(world, 10, "one", "", 10, "");
    assert_string_equal(delivered(world), "");
    assert_int_equal(kept_calls(world), 2);
    publish(world, "m11");
    assert_string_equal(delivered(world), "m11");
}

/* --- While something is under way --- */

static void test_an_answer_of_the_epoch_before_is_not_taken(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish(world, "m13");
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    publish_epoch(world, "two", 11);
    fake_redis_settle(world->fake);
    answer_kept(late, (struct kept_answer){"one", 13, 13, NULL, NULL, "m11/11 m12/12 m13/13"});
    answer_in(world, 10, "two", "one:11", 12, "m11/11 m12/12");
    assert_string_equal(delivered(world), "epoch:two m11 m12");
}

/* What waits is of the epoch before, under a number that is given again. */
static void test_what_waits_when_the_epoch_changes_is_not_delivered(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish(world, "m12 m13");
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    publish_epoch(world, "two", 10);
    publish(world, "p12");
    fake_redis_settle(world->fake);
    answer_kept(late, (struct kept_answer){"one", 13, 13, NULL, NULL, "m11/11 m12/12 m13/13"});
    answer_in(world, 10, "two", "one:10", 12, "m11/11 p12/11");
    assert_string_equal(delivered(world), "epoch:two m11 p12");
}

static void test_an_epoch_that_changes_between_two_pages_is_read_from_its_fork(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish(world, "m14");
    give_kept(world, 10, (struct kept_answer){"one", 14, 14, NULL, "12-0", "m11/11 m12/12"});
    struct fake_redis_call *second = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_argument(second, 8), "12-0");
    answer_kept(second, (struct kept_answer){"two", 13, 13, "one:11", "13-0", "m12/12 m13/13"});
    struct fake_redis_call *third = fake_redis_await(world->fake, "recent");
    assert_int_equal(asked_after(third), 11);
    assert_string_equal(fake_redis_argument(third, 8), "");
    answer_kept(third, (struct kept_answer){"two", 13, 13, "one:11", NULL, "m12/12 m13/13"});
    assert_string_equal(delivered(world), "m11 m12 reset:11/11 m12 m13");
}

static void test_an_epoch_that_is_followed_by_another_is_taken_up_once(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 8);
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    publish_epoch(world, "three", 9);
    fake_redis_settle(world->fake);
    answer_kept(late, (struct kept_answer){"two", 9, 9, "one:8", NULL, ""});
    answer_in(world, 10, "three", "one:8 two:9", 10, "");
    answer_in(world, 8, "three", "one:8 two:9", 10, "m9/9 m10/10");
    assert_string_equal(delivered(world), "reset:8/8 m9 m10");
}

/* Two servers behind one address: each answer is of another history than the one before. */
static void test_answers_of_ever_another_epoch_are_asked_for_once_a_second(void **state)
{
    static const char *const epochs[] = {"two", "one"};
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    doubt_epoch(world);
    for (unsigned second = 0; second < 5; second++) {
        for (unsigned i = 0; i < 2; i++)
            give_kept(world, second + i == 0 ? 10 : 0,
                      (struct kept_answer){epochs[i], 3, 3, NULL, NULL, "m3/3"});
        fake_redis_settle(world->fake);
        assert_int_equal(kept_calls(world), 3 + 2 * second);
        tick(world);
    }
    answer_in(world, 0, "one", "", 3, "m3/3");
    assert_string_equal(delivered(world), "reset:2/0 m3");
}

/* --- While it opens --- */

static void test_a_list_of_an_epoch_that_has_ended_opens_nothing(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    give_roster(world, (struct roster_answer){"one", 7, 7, 1, "a"});
    answer_in(world, 0, "two", "", 3, "m3/3");
    give_roster(world, (struct roster_answer){"two", 3, 3, 1, "b"});
    answer_in(world, 0, "two", "", 4, "m3/3 m4/4");
    assert_string_equal(delivered(world), "[ a ]1 start:7 [ b ]1 start:3 +m3 m4 live");
}

static void test_an_epoch_that_begins_while_the_list_is_read_asks_for_it_once_more(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    struct fake_redis_call *late = fake_redis_await(world->fake, "roster");
    publish(world, "m7");
    publish_epoch(world, "two", 5);
    publish(world, "m6");
    fake_redis_settle(world->fake);
    answer_roster(late, (struct roster_answer){"one", 7, 7, 1, "a"});
    give_roster(world, (struct roster_answer){"two", 6, 6, 1, "b"});
    answer_in(world, 0, "two", "one:5", 6, "m6/6");
    assert_string_equal(delivered(world), "[ b ]1 start:6 +m6 live");
}

static void test_a_list_that_does_not_tell_its_epoch_is_of_that_of_the_kept_events(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    give_roster(world, (struct roster_answer){"no epoch!", 7, 7, 0, ""});
    answer_in(world, 0, "two", "", 8, "m7/7 m8/8");
    assert_string_equal(delivered(world), "[ ]0 start:7 +m7 m8 live");
}

static void test_a_room_whose_epoch_goes_on_while_it_opens_just_opens(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    give_roster(world, (struct roster_answer){"one", 7, 7, 0, ""});
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    publish_epoch(world, "two", 8);
    fake_redis_settle(world->fake);
    answer_kept(late, (struct kept_answer){"one", 8, 8, NULL, NULL, "m8/8"});
    answer_in(world, 0, "two", "one:8", 9, "m8/8 m9/9");
    assert_string_equal(delivered(world), "[ ]0 start:7 m8 m9 live");
}

/* --- The list --- */

static void test_a_list_of_another_epoch_waits_until_that_is_taken_up(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    want_roster(world);
    give_roster(world, (struct roster_answer){"two", 11, 10, 1, "a"});
    answer_in(world, 10, "two", "one:10", 11, "p11/10");
    assert_string_equal(delivered(world), "epoch:two p11");
    tick(world);
    give_roster(world, (struct roster_answer){"two", 11, 10, 1, "a"});
    assert_string_equal(delivered(world), "[ a ]1");
}

/* It was asked for in the epoch before, and that is all that it says. */
static void test_a_list_asked_for_in_the_epoch_before_is_asked_for_once_more(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    want_roster(world);
    struct fake_redis_call *late = fake_redis_await(world->fake, "roster");
    publish_epoch(world, "two", 10);
    fake_redis_settle(world->fake);
    answer_roster(late, (struct roster_answer){"one", 10, 10, 1, "a"});
    answer_in(world, 10, "two", "one:10", 10, "");
    give_roster(world, (struct roster_answer){"two", 10, 10, 1, "b"});
    assert_string_equal(delivered(world), "epoch:two [ b ]1");
}

/* --- Events that say their epoch --- */

static void test_an_event_of_an_epoch_that_has_ended_is_not_taken_for_the_next_one(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_in(world, "one", "m11 p12");
    assert_string_equal(delivered(world), "m11 p12");
    publish_in(world, "zero", "m13");
    answer_in(world, 12, "one", "zero:10", 12, ""); /* what waits is of another one: once more */
    answer_in(world, 12, "one", "zero:10", 12, "");
    assert_string_equal(delivered(world), "");
    publish_in(world, "one", "m13");
    assert_string_equal(delivered(world), "m13");
}

static void test_events_of_the_epoch_that_begins_are_delivered_after_what_is_kept(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 10);
    publish_in(world, "two", "m11 m12");
    answer_in(world, 10, "two", "one:10", 11, "m11/11");
    assert_string_equal(delivered(world), "epoch:two m11 m12");
    assert_int_equal(kept_calls(world), 2); /* the first of them to open */
}

static void test_of_two_epochs_that_wait_neither_is_delivered_but_what_is_kept(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    publish_epoch(world, "two", 10);
    struct fake_redis_call *kept = fake_redis_await(world->fake, "recent");
    publish_in(world, "two", "m11");
    publish_in(world, "one", "m11 m12");
    fake_redis_settle(world->fake);
    answer_kept(kept, (struct kept_answer){"two", 11, 11, "one:10", NULL, "m11/11"});
    answer_in(world, 10, "two", "one:10", 11, "m11/11");
    answer_in(world, 11, "two", "one:10", 11, "");
    assert_string_equal(delivered(world), "epoch:two m11");
    publish_in(world, "two", "m12");
    assert_string_equal(delivered(world), "m12");
}

static void test_what_follows_an_event_and_is_no_epoch_makes_it_foreign(void **state)
{
    static const char event[] = "{\"type\":\"message\",\"seq\":11,\"at\":1,\"from\":{\"id\":\"a\","
                                "\"name\":\"Ann\"},\"text\":\"hello\"}";
    static const char *const after[] = {"one", " one two", " one}",
                                        " !",  " o ",      " a-name-that-is-longer-than-any-epoch"};
    struct feed_world *world = *state;
    open_live_at(world, 10, 10);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        fake_redis_publish(world->fake, FEED_CHANNEL, "%s%s", event, after[i]);
        assert_string_equal(delivered(world), "");
    }
    publish_in(world, "one", "m11");
    assert_string_equal(delivered(world), "m11");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, feed_world_set_up, feed_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_epoch_that_goes_on_from_the_last_event_is_no_gap),
        TEST(test_several_epochs_that_go_on_from_the_last_event_are_no_gap),
        TEST(test_an_epoch_that_forked_before_the_last_event_begins_again_behind_the_fork),
        TEST(test_behind_a_fork_what_is_not_kept_has_passed_unseen),
        TEST(test_an_unknown_epoch_begins_again_from_its_beginning),
        TEST(test_an_unknown_epoch_of_which_nothing_is_kept_begins_at_its_head),
        TEST(test_an_old_number_shows_that_the_epoch_is_another),
        TEST(test_a_head_that_was_set_back_by_hand_starts_over),
        TEST(test_the_epoch_that_it_is_in_is_no_news),
        TEST(test_somebody_who_knows_another_epoch_makes_it_look),
        TEST(test_an_answer_of_the_epoch_before_is_not_taken),
        TEST(test_what_waits_when_the_epoch_changes_is_not_delivered),
        TEST(test_an_epoch_that_changes_between_two_pages_is_read_from_its_fork),
        TEST(test_an_epoch_that_is_followed_by_another_is_taken_up_once),
        TEST(test_answers_of_ever_another_epoch_are_asked_for_once_a_second),
        TEST(test_a_list_of_an_epoch_that_has_ended_opens_nothing),
        TEST(test_an_epoch_that_begins_while_the_list_is_read_asks_for_it_once_more),
        TEST(test_a_list_that_does_not_tell_its_epoch_is_of_that_of_the_kept_events),
        TEST(test_a_room_whose_epoch_goes_on_while_it_opens_just_opens),
        TEST(test_a_list_of_another_epoch_waits_until_that_is_taken_up),
        TEST(test_a_list_asked_for_in_the_epoch_before_is_asked_for_once_more),
        TEST(test_an_event_of_an_epoch_that_has_ended_is_not_taken_for_the_next_one),
        TEST(test_events_of_the_epoch_that_begins_are_delivered_after_what_is_kept),
        TEST(test_of_two_epochs_that_wait_neither_is_delivered_but_what_is_kept),
        TEST(test_what_follows_an_event_and_is_no_epoch_makes_it_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
