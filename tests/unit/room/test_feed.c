/* feed: a room that opens, its events in order, and holes in their numbers. (Epochs:
 * test_feed_epochs.c; lost connections and the end: test_feed_life.c.) */
#include "unit.h"

#include "feed_world.h"

/* --- Opening --- */

static void test_feed_asks_for_nothing_until_it_is_subscribed(void **state)
{
    struct feed_world *world = *state;
    fake_redis_always(world->fake, "SUBSCRIBE", NULL);
    open_feed(world);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world) + kept_calls(world), 0);
    struct fake_redis_call *call;
    do
        call = fake_redis_await(world->fake, "SUBSCRIBE");
    while (strcmp(fake_redis_argument(call, 1), FEED_CHANNEL) != 0);
    fake_redis_answer(call, NULL);
    fake_redis_await(world->fake, "roster");
}

static void test_feed_that_may_not_subscribe_asks_again_every_second(void **state)
{
    struct feed_world *world = *state;
    size_t others = fake_redis_count(world->fake, "SUBSCRIBE");
    fake_redis_always(world->fake, "SUBSCRIBE", "-NOPERM no channel for you");
    open_feed(world);
    fake_redis_settle(world->fake);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(fake_redis_count(world->fake, "SUBSCRIBE"), others + 2);
    fake_redis_always(world->fake, "SUBSCRIBE", NULL);
    tick(world);
    fake_redis_settle(world->fake);
    struct fake_redis_call *call = NULL;
    for (size_t i = 0; i < others + 3; i++)
        call = fake_redis_await(world->fake, "SUBSCRIBE");
    assert_string_equal(delivered(world), "");
    fake_redis_answer(call, NULL);
    fake_redis_await(world->fake, "roster");
}

static void test_feed_opens_with_the_list_then_what_the_list_has_then_what_is_new(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    assert_string_equal(fake_redis_key(roster, 4), "yukizuri:{tea}:members");
    answer_roster(roster, (struct roster_answer){"one", 7, 3, 2, "a b"});
    give_kept(world, 0, (struct kept_answer){"one", 9, 5, NULL, NULL, "m5/2 p6/2 m7/3 m8/4 m9/5"});
    assert_string_equal(delivered(world), "[ a b ]2 start:7 +m5 +p6 +m7 m8 m9 live");
    publish(world, "m10 p11");
    assert_string_equal(delivered(world), "m10 p11");
}

static void test_feed_delivers_what_came_while_it_opened_after_what_is_kept(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    publish(world, "m7 m8");
    assert_string_equal(delivered(world), "");
    answer_roster(roster, (struct roster_answer){"one", 7, 3, 0, ""});
    struct fake_redis_call *kept = fake_redis_await(world->fake, "recent");
    publish(world, "m9 p10");
    assert_string_equal(delivered(world), "[ ]0 start:7");
    answer_kept(kept, (struct kept_answer){"one", 8, 4, NULL, NULL, "m7/3 m8/4"});
    assert_string_equal(delivered(world), "+m7 m8 m9 p10 live");
    assert_int_equal(kept_calls(world), 1);
}

static void test_feed_of_a_room_of_which_nothing_is_kept_opens_without_a_gap(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    give_roster(world, (struct roster_answer){"one", 500, 300, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", 500, 300, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ ]0 start:500 live");
    publish(world, "m501");
    assert_string_equal(delivered(world), "m501");
}

/* Between the list and the kept events more was said than is kept. */
static void test_feed_that_opens_tells_of_what_passed_since_the_list(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    give_roster(world, (struct roster_answer){"one", 5, 2, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", 9, 6, NULL, NULL, "m8/5 m9/6"});
    assert_string_equal(delivered(world), "[ ]0 start:5 gap:7/2 m8 m9 live");
}

static void test_feed_tells_nothing_of_typing_and_notices_before_it_is_live(void **state)
{
    struct feed_world *world = *state;
    const char *typing = "{\"type\":\"typing\",\"from\":{\"id\":\"a\",\"name\":\"Ann\"}}";
    open_feed(world);
    fake_redis_await(world->fake, "roster");
    fake_redis_publish(world->fake, FEED_CHANNEL, "back at ten");
    fake_redis_publish(world->fake, FEED_CHANNEL, "%s", typing);
    assert_string_equal(delivered(world), "");
}

static void test_feed_takes_only_members_from_a_list_who_can_be_shown(void **state)
{
    struct feed_world *world = *state;
    open_feed(world);
    fake_redis_answer(
        fake_redis_await(world->fake, "roster"),
        "['one', 3, 0, 5, 'a', 'a-name', 'a-address', 'a-mark', 'b', '\xff\xfe', '', '', null, "
        "'x', 'y', '', 7, 'x', 'y', '', 'e', 'e-name', '', '\xff', 'f', 'f-name', '', 7, "
        "'c', 'c-name', 'c-address', 'c-mark', 'd', 'd-name', '']");
    give_kept(world, 0, (struct kept_answer){"one", 3, 0, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ a c ]5 start:3 live");
}

static void test_feed_asks_again_for_a_list_that_is_refused_or_no_list(void **state)
{
    static const char *const answers[] = {"-OOM no memory", "null", "[]",
                                          "['one', 3]",     "7",    "'a list'"};
    struct feed_world *world = *state;
    open_feed(world);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        fake_redis_answer(fake_redis_await(world->fake, "roster"), "%s", answers[i]);
        fake_redis_settle(world->fake);
        assert_int_equal(roster_calls(world), i + 1); /* not at once: it would be for ever */
        tick(world);
    }
    give_roster(world, (struct roster_answer){"one", 0, 0, 0, ""});
    give_kept(world, 0, (struct kept_answer){"one", 0, 0, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ ]0 start:0 live");
}

static void test_feed_asks_again_for_kept_events_that_are_refused_or_none(void **state)
{
    static const char *const answers[] = {"-OOM no memory",
                                          "null",
                                          "[]",
                                          "['', 9, 9, '1', '', '']",
                                          "['no epoch!', 9, 9, '1', '', '']",
                                          "['abcdefghijklmnopqrstu', 9, 9, '1', '', '']",
                                          "[['one'], 9, 9, '1', '', '']"};
    struct feed_world *world = *state;
    open_feed(world);
    give_roster(world, (struct roster_answer){"one", 2, 0, 0, ""});
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        fake_redis_answer(fake_redis_await(world->fake, "recent"), "%s", answers[i]);
        fake_redis_settle(world->fake);
        assert_int_equal(kept_calls(world), i + 1);
        tick(world);
    }
    give_kept(world, 0, (struct kept_answer){"one", 2, 0, NULL, NULL, ""});
    assert_string_equal(delivered(world), "[ ]0 start:2 live");
}

/* Of entries that somebody added by hand: one without a number, one that is no event, one under
 * another's number, one beyond the last. */
static void test_feed_passes_over_kept_entries_that_are_no_events_of_ours(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "p8");
    fake_redis_answer(fake_redis_await(world->fake, "recent"),
                      "['one', 8, 0, '1', '', '', "
                      "'x', '1', '%s', '0', "
                      "'4', '1', 'hello', '0', "
                      "'5', '1', '{\"type\":\"epoch\",\"epoch\":\"two\",\"seq\":5}', '0', "
                      "'6', '1', '%s', '0', "
                      "'999', '1', '%s', '0', "
                      "'7', '1', '%s', '0', '8', '1']",
                      "{\"type\":\"presence\",\"seq\":4,\"joined\":[],\"left\":[],\"count\":1}",
                      "{\"type\":\"presence\",\"seq\":5,\"joined\":[],\"left\":[],\"count\":1}",
                      "{\"type\":\"presence\",\"seq\":999,\"joined\":[],\"left\":[],\"count\":1}",
                      "{\"type\":\"presence\",\"seq\":7,\"joined\":[],\"left\":[],\"count\":1}");
    assert_string_equal(delivered(world), "gap:6/0 p7 p8");
}

/* --- Pages --- */

static void test_feed_reads_page_after_page(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m9");
    struct fake_redis_call *first = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_argument(first, 8), "");
    answer_kept(first, (struct kept_answer){"one", 9, 6, NULL, "5-0", "m4/1 m5/2"});
    assert_string_equal(delivered(world), "m4 m5");
    struct fake_redis_call *second = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_argument(second, 8), "5-0");
    publish(world, "m10");
    answer_kept(second, (struct kept_answer){"one", 10, 7, NULL, "7-0", "m6/3 m7/4"});
    struct fake_redis_call *third = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_argument(third, 8), "7-0");
    answer_kept(third, (struct kept_answer){"one", 10, 7, NULL, NULL, "m8/5 m9/6 m10/7"});
    assert_string_equal(delivered(world), "m6 m7 m8 m9 m10");
    publish(world, "m11 m13"); /* the next read begins behind the last event again */
    assert_string_equal(fake_redis_argument(fake_redis_await(world->fake, "recent"), 8), "");
    assert_string_equal(delivered(world), "m11");
}

/* Somebody fills the stream by hand: Redis is not asked at once for the next page of that. */
static void test_feed_waits_for_the_tick_after_a_page_without_an_event(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    answer_kept(fake_redis_await(world->fake, "recent"),
                (struct kept_answer){"one", 5, 2, NULL, "3-500", ""});
    fake_redis_settle(world->fake);
    assert_int_equal(kept_calls(world), 2);
    tick(world);
    struct fake_redis_call *next = fake_redis_await(world->fake, "recent");
    assert_string_equal(fake_redis_argument(next, 8), "3-500");
    answer_kept(next, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    assert_string_equal(delivered(world), "m4 m5");
}

/* --- Order and holes --- */

static void test_feed_delivers_the_next_number_at_once_and_each_once(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m4 p5 m6");
    assert_string_equal(delivered(world), "m4 p5 m6");
    assert_int_equal(kept_calls(world), 1);
    publish(world, "m5"); /* an old number: has the epoch changed? */
    give_kept(world, 6, (struct kept_answer){"one", 6, 2, NULL, NULL, ""});
    assert_string_equal(delivered(world), "");
    publish(world, "m7");
    assert_string_equal(delivered(world), "m7");
}

static void test_feed_mends_a_hole_before_it_delivers_what_is_behind_it(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m6");
    struct fake_redis_call *kept = fake_redis_await(world->fake, "recent");
    assert_int_equal(asked_after(kept), 3);
    publish(world, "m7 m8");
    assert_string_equal(delivered(world), "");
    answer_kept(kept, (struct kept_answer){"one", 7, 4, NULL, NULL, "m4/1 m5/2 m6/3 m7/4"});
    assert_string_equal(delivered(world), "m4 m5 m6 m7 m8");
    assert_int_equal(kept_calls(world), 2); /* what has come already is not asked for */
}

static void test_feed_mends_holes_of_any_order_of_publication(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m9 m5 m7 m6 m5 m8 m4");
    give_kept(world, 3, (struct kept_answer){"one", 6, 3, NULL, NULL, "m4/1 m5/2 m6/3"});
    give_kept(world, 6, (struct kept_answer){"one", 9, 6, NULL, NULL, "m7/4 m8/5 m9/6"});
    assert_string_equal(delivered(world), "m4 m5 m6 m7 m8 m9");
}

static void test_feed_tells_of_a_hole_of_which_nothing_is_kept_as_one_gap(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 1);
    publish(world, "m7");
    give_kept(world, 3, (struct kept_answer){"one", 7, 4, NULL, NULL, ""});
    assert_string_equal(delivered(world), "gap:6/2 m7"); /* 4 to 6, of which one is presence */
}

static void test_feed_tells_of_a_hole_of_which_the_end_is_kept(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 1);
    publish(world, "m9");
    give_kept(world, 3, (struct kept_answer){"one", 9, 6, NULL, NULL, "m7/4 p8/4 m9/6"});
    assert_string_equal(delivered(world), "gap:6/2 m7 p8 m9");
}

static void test_feed_tells_of_a_hole_within_what_is_kept(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 1);
    publish(world, "m9");
    give_kept(world, 3, (struct kept_answer){"one", 9, 7, NULL, NULL, "m4/2 m8/6 m9/7"});
    assert_string_equal(delivered(world), "m4 gap:7/3 m8 m9");
}

/* The read was answered before the hole's other side was said. */
static void test_feed_reads_again_when_what_came_meanwhile_leaves_a_hole(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    struct fake_redis_call *kept = fake_redis_await(world->fake, "recent");
    publish(world, "m8");
    answer_kept(kept, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    give_kept(world, 5, (struct kept_answer){"one", 8, 5, NULL, NULL, "m6/3 m7/4 m8/5"});
    assert_string_equal(delivered(world), "m4 m5 m6 m7 m8");
}

static void test_feed_survives_more_events_during_a_read_than_it_keeps(void **state)
{
    enum { FIRST = 4, LAST = 4200, PAGE = 500 };
    struct feed_world *world = *state;
    struct text expected = TEXT_EMPTY;
    open_live_at(world, 3, 0);
    publish(world, "m5");
    for (unsigned seq = 6; seq <= LAST; seq++) {
        char event[16];
        snprintf(event, sizeof event, "m%u", seq);
        publish(world, event);
    }
    fake_redis_settle(world->fake);
    give_kept(world, 3, (struct kept_answer){"one", 5, 2, NULL, NULL, "m4/1 m5/2"});
    for (unsigned from = 6; from <= LAST; from += PAGE) {
        struct text events = TEXT_EMPTY;
        char last[24];
        unsigned to = from + PAGE <= LAST ? from + PAGE - 1 : LAST;
        for (unsigned seq = from; seq <= to; seq++)
            text_print(&events, "m%u/%u ", seq, seq - 3);
        snprintf(last, sizeof last, "%u-0", to);
        answer_kept(fake_redis_await(world->fake, "recent"),
                    (struct kept_answer){"one", LAST, LAST - 3, NULL, to == LAST ? NULL : last,
                                         events.data});
        text_done(&events);
    }
    for (unsigned seq = FIRST; seq <= LAST; seq++)
        text_print(&expected, "%sm%u", seq == FIRST ? "" : " ", seq);
    assert_string_equal(delivered(world), expected.data);
    publish(world, "m4201");
    assert_string_equal(delivered(world), "m4201");
    text_done(&expected);
}

/* --- What is not numbered, and what is not ours --- */

static void test_feed_delivers_typing_and_notices_when_they_come(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    publish(world, "m5"); /* also while a hole is being mended */
    fake_redis_await(world->fake, "recent");
    fake_redis_publish(world->fake, FEED_CHANNEL,
                       "{\"type\":\"typing\",\"from\":{\"id\":\"a\",\"name\":\"Ann\"}}");
    fake_redis_publish(world->fake, FEED_CHANNEL, "back at ten");
    fake_redis_publish(world->fake, FEED_CHANNEL, "{\"type\":\"notice\",\"text\":\"now\"}");
    assert_string_equal(delivered(world), "typing notice:back at ten notice:now");
}

static uint64_t dropped(const struct feed_world *world)
{
    uint64_t count = 0;
    for (size_t i = 0; i < METRICS_WORDS; i++)
        count += world->metrics.dropped_events.counts[i];
    return count;
}

static void test_feed_counts_and_drops_what_is_no_event_of_ours(void **state)
{
    static const char *const garbage[] = {
        "{\"type\":\"message\",\"seq\":4",
        "{}",
        "[]",
        "[[[[[[",
        "{\"type\":7}",
        "{\"type\":\"message\",\"seq\":\"4\",\"at\":1,\"from\":{},\"text\":\"x\"}",
        "{\"type\":\"message\",\"seq\":-4,\"at\":1,\"from\":{\"id\":\"a\",\"name\":\"A\"},"
        "\"text\":\"x\"}",
        "{\"type\":\"presence\",\"seq\":4,\"joined\":{},\"left\":[],\"count\":1}",
        "{\"type\":\"presence\",\"seq\":99999999999999999999,\"joined\":[],\"left\":[],"
        "\"count\":1}",
        "{\"type\":\"epoch\",\"epoch\":\"a b\",\"seq\":3}",
        "{\"type\":\"epoch\",\"epoch\":7}",
        "{\"type\":\"notice\",\"text\":\"\"}",
        "a\tb",
        "\xff\xfe",
        "",
    };
    const size_t count = sizeof garbage / sizeof *garbage;
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    for (size_t i = 0; i < count; i++)
        fake_redis_publish(world->fake, FEED_CHANNEL, "%s", garbage[i]);
    fake_redis_publish_bytes(world->fake, FEED_CHANNEL, "{\"type\":\"typing\"\0}", 18);
    assert_string_equal(delivered(world), "");
    assert_int_equal(dropped(world), count + 1);
    assert_int_equal(kept_calls(world), 1);
    publish(world, "m4");
    assert_string_equal(delivered(world), "m4");
}

/* --- The list, once more --- */

static void test_feed_gives_a_later_list_with_the_events_that_it_lacks(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    want_roster(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    publish(world, "p4 m5 p6 p7");
    assert_string_equal(delivered(world), "p4 m5 p6 p7");
    answer_roster(roster, (struct roster_answer){"one", 5, 1, 2, "a b"});
    assert_string_equal(delivered(world), "[ a b ]2 again:p6 again:p7");
    want_roster(world); /* nothing is left of that */
    give_roster(world, (struct roster_answer){"one", 5, 1, 1, "a"});
    assert_string_equal(delivered(world), "[ a ]1");
}

static void test_feed_asks_once_more_when_a_list_under_way_may_be_too_old(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    want_roster(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    want_roster(world);
    want_roster(world);
    answer_roster(roster, (struct roster_answer){"one", 3, 0, 1, "a"});
    assert_string_equal(delivered(world), "");
    tick(world);
    give_roster(world, (struct roster_answer){"one", 3, 0, 2, "a b"});
    assert_string_equal(delivered(world), "[ a b ]2");
    assert_int_equal(roster_calls(world), 3);
}

static void test_feed_asks_again_when_more_happened_than_it_can_add_to_a_list(void **state)
{
    enum { EVENTS = 4097 };
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    want_roster(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    for (unsigned i = 0; i < EVENTS; i++) {
        char event[16];
        snprintf(event, sizeof event, "p%u", 4 + i);
        publish(world, event);
    }
    delivered(world);
    answer_roster(roster, (struct roster_answer){"one", 3, 0, 1, "a"});
    assert_string_equal(delivered(world), "");
    tick(world);
    give_roster(world, (struct roster_answer){"one", 3 + EVENTS, 0, 1, "b"});
    assert_string_equal(delivered(world), "[ b ]1");
}

/* The numbers of a list that comes while a hole is mended are those of later. */
static void test_feed_takes_no_list_while_it_mends_a_hole(void **state)
{
    struct feed_world *world = *state;
    open_live_at(world, 3, 0);
    want_roster(world);
    struct fake_redis_call *roster = fake_redis_await(world->fake, "roster");
    publish(world, "p5");
    struct fake_redis_call *kept = fake_redis_await(world->fake, "recent");
    answer_roster(roster, (struct roster_answer){"one", 5, 0, 2, "a b"});
    assert_string_equal(delivered(world), "");
    answer_kept(kept, (struct kept_answer){"one", 5, 0, NULL, NULL, "p4/0 p5/0"});
    assert_string_equal(delivered(world), "p4 p5");
    tick(world);
    give_roster(world, (struct roster_answer){"one", 5, 0, 2, "a b"});
    assert_string_equal(delivered(world), "[ a b ]2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, feed_world_set_up, feed_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_feed_asks_for_nothing_until_it_is_subscribed),
        TEST(test_feed_that_may_not_subscribe_asks_again_every_second),
        TEST(test_feed_opens_with_the_list_then_what_the_list_has_then_what_is_new),
        TEST(test_feed_delivers_what_came_while_it_opened_after_what_is_kept),
        TEST(test_feed_of_a_room_of_which_nothing_is_kept_opens_without_a_gap),
        TEST(test_feed_that_opens_tells_of_what_passed_since_the_list),
        TEST(test_feed_tells_nothing_of_typing_and_notices_before_it_is_live),
        TEST(test_feed_takes_only_members_from_a_list_who_can_be_shown),
        TEST(test_feed_asks_again_for_a_list_that_is_refused_or_no_list),
        TEST(test_feed_asks_again_for_kept_events_that_are_refused_or_none),
        TEST(test_feed_passes_over_kept_entries_that_are_no_events_of_ours),
        TEST(test_feed_reads_page_after_page),
        TEST(test_feed_waits_for_the_tick_after_a_page_without_an_event),
        TEST(test_feed_delivers_the_next_number_at_once_and_each_once),
        TEST(test_feed_mends_a_hole_before_it_delivers_what_is_behind_it),
        TEST(test_feed_mends_holes_of_any_order_of_publication),
        TEST(test_feed_tells_of_a_hole_of_which_nothing_is_kept_as_one_gap),
        TEST(test_feed_tells_of_a_hole_of_which_the_end_is_kept),
        TEST(test_feed_tells_of_a_hole_within_what_is_kept),
        TEST(test_feed_reads_again_when_what_came_meanwhile_leaves_a_hole),
        TEST(test_feed_survives_more_events_during_a_read_than_it_keeps),
        TEST(test_feed_delivers_typing_and_notices_when_they_come),
        TEST(test_feed_counts_and_drops_what_is_no_event_of_ours),
        TEST(test_feed_gives_a_later_list_with_the_events_that_it_lacks),
        TEST(test_feed_asks_once_more_when_a_list_under_way_may_be_too_old),
        TEST(test_feed_asks_again_when_more_happened_than_it_can_add_to_a_list),
        TEST(test_feed_takes_no_list_while_it_mends_a_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
