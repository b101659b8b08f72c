/* feed: connections that are lost while something is under way, answers that come late, and the end
 * of a feed at any moment. */
#include "unit.h"

#include "feed_world.h"

/* --- Lost connections --- */

static void test_what_passed_while_it_was_not_subscribed_is_delivered_afterwards(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    lose_subscription(world);
    publish(world, "m4 m5");
    await_subscription(world);
    publish(world, "m6");
    assert_string_equal(delivered(world), "");
    give_kept(world, 3, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "m4 m5 m6");
}

static void test_what_passed_while_it_was_not_subscribed_and_is_not_kept_is_a_gap(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    lose_subscription(world);
    await_subscription(world);
    give_kept(world, 3, (struct kept_answer){"one", 9, 4, NULL, NULL, ""});
    assert_string_equal(delivered(world), "gap:9/4");
    publish(world, "m10");
    assert_string_equal(delivered(world), "m10");
}

/* It tells nothing of what passed between it and the new subscription. */
static void
test_kept_events_asked_for_before_the_subscription_was_lost_are_asked_for_again(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    lose_subscription(world);
    await_subscription(world);
    answer_kept(late, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "");
    give_kept(world, 3, (struct kept_answer){"one", 7, 4, NULL, NULL, "m4/1 m5/2 m6/3 m7/4"});
    assert_string_equal(delivered(world), "m4 m5 m6 m7");
}

static void test_an_answer_that_comes_while_it_is_not_subscribed_is_not_taken(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    fake_redis_always(world->fake, "SUBSCRIBE", NULL);
    lose_subscription(world);
    answer_kept(late, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "");
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(kept_calls(world), 2);
}

static void test_a_list_asked_for_before_the_subscription_was_lost_is_asked_for_again(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    struct fake_redis_call *late = fake_redis_await(world->fake, "roster");
    lose_subscription(world);
    await_subscription(world);
    assert_int_equal(roster_calls(world), 1); /* one at a time */
    answer_roster(late, (struct roster_answer){"one", 3, 0, 1, "a"});
    give_roster(world, (struct roster_answer){"one", 5, 0, 1, "b"});
    give_kept(world, 0, (struct kept_answer){"one", 5, 0, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ b ]1 start:5 live");
}

/* The page after which to go on is of a read that is not gone on with. */
static void test_a_read_begins_at_its_first_page_when_the_subscription_was_lost(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m9");
    give_kept(world, 3, (struct kept_answer){"one", 9, 6, NULL, "3-700", "m4/1"});
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    lose_subscription(world);
    await_subscription(world);
    answer_kept(late, (struct kept_answer){"one", 9, 6, NULL, NULL, ""});
    struct fake_redis_call *again = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_argument(again, 8), "");
    assert_int_equal(asked_after(again), 4);
}

static void test_a_hole_is_mended_when_the_connection_for_commands_is_back(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    struct fake_redis_call *lost = fake_redis_await(world->fake, "recent");
    fake_redis_drop(world->fake, FAKE_COMMANDS);
    publish(world, "m6");
    struct fake_redis_call *again = fake_redis_await(world->fake, "recent");
    answer_kept(lost, (struct kept_answer){"one", 3, 0, NULL, NULL, ""});
    answer_kept(again, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "m4 m5 m6");
}

static void test_a_list_is_read_when_the_connection_for_commands_is_back(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    fake_redis_await(world->fake, "roster");
    fake_redis_drop(world->fake, FAKE_COMMANDS);
    give_roster(world, (struct roster_answer){"one", 5, 0, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", 5, 0, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ ]0 start:5 live");
}

static void test_it_opens_when_both_connections_were_lost_and_are_back(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    fake_redis_await(world->fake, "roster");
    fake_redis_set_away(world->fake, true);
    fake_redis_settle(world->fake);
    tick(world);
    fake_redis_set_away(world->fake, false);
    await_subscription(world);
    give_roster(world, (struct roster_answer){"one", 5, 0, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", 5, 0, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ ]0 start:5 live");
}

/* Bytes that are no answer are the end of that connection, and of nothing else. */
static void test_an_answer_that_is_not_resp_is_asked_for_again(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    fake_redis_answer_bytes(fake_redis_await(world->fake, "recent"), "\x01?*\r\n", 5);
    give_kept(world, 3, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "m4 m5");
}

/* --- The end --- */

static void test_a_feed_closed_while_the_list_is_read_tells_nothing(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    struct fake_redis_call *late = fake_redis_await(world->fake, "roster");
    close_feed(world);
    publish(world, "m4");
    fake_redis_publish(world->fake, FEED_CHANNEL, "back at ten");
    answer_roster(late, (struct roster_answer){"one", 3, 0, 1, "a"});
    assert_string_equal(delivered(world), "");
    assert_int_equal(kept_calls(world), 0);
}

static void test_a_feed_closed_while_kept_events_are_read_tells_nothing(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    want_roster(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    publish(world, "m5");
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    close_feed(world);
    answer_roster(roster, (struct roster_answer){"one", 3, 0, 1, "a"});
    answer_kept(late, (struct kept_answer){"one", 5, 2, NULL, "5-0", "m4/1 m5/2"});
    assert_string_equal(delivered(world), "");
    assert_int_equal(kept_calls(world), 2);
}

static void test_a_feed_closed_before_the_connection_is_lost_tells_nothing(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    fake_redis_await(world->fake, "recent");
    want_roster(world);
    close_feed(world);
    fake_redis_drop(world->fake, FAKE_ALL);
    assert_string_equal(delivered(world), "");
}

/* The room is opened again before the first feed has its answers: they are not the second one's. */
static void test_a_feed_takes_no_answer_that_an_earlier_one_of_its_room_waited_for(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    struct fake_redis_call *late = fake_redis_await(world->fake, "recent");
    close_feed(world);
    open_feed(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    answer_kept(late, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "");
    answer_roster(roster, (struct roster_answer){"one", 5, 2, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", 6, 3, NULL, NULL, "m5/2 m6/3"});
    assert_string_equal(delivered(world), "[ ]0 start:5 +m5 m6 live");
}

static void test_a_feed_closed_from_within_an_event_with_nothing_under_way(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    world->end_at = world->words + 1;
    publish(world, "m4 m5");
    assert_string_equal(delivered(world), "m4");
}

static void open_with_everything(struct feed_world *world)
{
    open_feed(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    publish(world, "m9 m10");
    answer_roster(roster, (struct roster_answer){"one", 4, 1, 1, "a"});
    fake_redis_settle(world->fake);
    if (kept_calls(world) > 0)
        give_kept(world, 0, (struct kept_answer){"one", 8, 5, NULL, NULL, "m4/1 m5/2 m8/5"});
    fake_redis_settle(world->fake);
}

static void read_list(struct feed_world *world)
{
    want_roster(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    publish(world, "p11");
    fake_redis_settle(world->fake);
    answer_roster(roster, (struct roster_answer){"one", 10, 7, 2, "a b"});
    fake_redis_settle(world->fake);
}

static void go_on_in_another_epoch(struct feed_world *world)
{
    publish_epoch(world, "two", 11);
    give_kept(world, 11, (struct kept_answer){"two", 13, 9, "one:11", NULL, "m12/8 m13/9"});
    fake_redis_settle(world->fake);
}

static void fork_another_epoch(struct feed_world *world)
{
    publish_epoch(world, "three", 12);
    give_kept(world, 13, (struct kept_answer){"three", 15, 10, "two:12", NULL, ""});
    struct fake_redis_call *kept = fake_redis_await(world->fake, "recent");
    publish(world, "m15 m16");
    fake_redis_settle(world->fake);
    answer_kept(kept, (struct kept_answer){"three", 15, 11, "two:12", NULL, "m13/9"});
    fake_redis_settle(world->fake);
}

/* All that a feed can tell, up to its end. */
static const char *live_through(struct feed_world *world)
{
    static void (*const steps[])(struct feed_world *) = {
        open_with_everything, read_list, go_on_in_another_epoch, fork_another_epoch};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (i == 0 || world->feed != NULL)
            steps[i](world);
    return delivered(world);
}

static void test_a_feed_closed_from_within_any_word_tells_no_other(void **state)
{
    static const char everything[] = "[ a ]1 start:4 +m4 m5 gap:7/2 m8 m9 m10 live p11 [ a b ]2 "
                                     "again:p11 epoch:two m12 m13 reset:12/12 m13 gap:14/1 m15 m16";
    const char *end = everything;
    assert_string_equal(live_through(*state), everything);
    for (size_t word = 1; *end != '\0'; word++) {
        struct feed_world *world;
        feed_world_set_up((void **)&world);
        world->end_at = word;
        end += strspn(end, " ");
        end += strcspn(end, " ");
        const char *told = live_through(world);
        assert_int_equal(strlen(told), end - everything);
        assert_memory_equal(told, everything, strlen(told));
        feed_world_tear_down((void **)&world);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, feed_world_set_up, feed_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_passed_while_it_was_not_subscribed_is_delivered_afterwards),
        TEST(test_what_passed_while_it_was_not_subscribed_and_is_not_kept_is_a_gap),
        TEST(test_kept_events_asked_for_before_the_subscription_was_lost_are_asked_for_again),
        TEST(test_an_answer_that_comes_while_it_is_not_subscribed_is_not_taken),
        TEST(test_a_list_asked_for_before_the_subscription_was_lost_is_asked_for_again),
        TEST(test_a_read_begins_at_its_first_page_when_the_subscription_was_lost),
        TEST(test_a_hole_is_mended_when_the_connection_for_commands_is_back),
        TEST(test_a_list_is_read_when_the_connection_for_commands_is_back),
        TEST(test_it_opens_when_both_connections_were_lost_and_are_back),
        TEST(test_an_answer_that_is_not_resp_is_asked_for_again),
        TEST(test_a_feed_closed_while_the_list_is_read_tells_nothing),
        TEST(test_a_feed_closed_while_kept_events_are_read_tells_nothing),
        TEST(test_a_feed_closed_before_the_connection_is_lost_tells_nothing),
        TEST(test_a_feed_takes_no_answer_that_an_earlier_one_of_its_room_waited_for),
        TEST(test_a_feed_closed_from_within_an_event_with_nothing_under_way),
        TEST(test_a_feed_closed_from_within_any_word_tells_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
