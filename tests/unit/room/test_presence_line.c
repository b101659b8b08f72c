/* room: who comes and goes, batched into lines, and the list of who is here. */
#include "unit.h"

#include "room_world.h"
#include "skipping_clock.h"

/* --- Lines --- */

static void test_the_first_line_goes_out_at_once_and_those_who_follow_are_batched(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_presence(world, 1, "a", "", 1);
    deliver_presence(world, 2, "b", "", 2);
    deliver_presence(world, 3, "c", "a", 2);
    assert_string_equal(await_news(guest), "p1+a=1");
    assert_string_equal(await_news(guest), "p3+b+c-a=2");
    deliver_message(world, 4);
    assert_string_equal(got(guest), "m4"); /* nothing is left over */
}

static void test_who_is_in_the_batch_is_told_before_what_is_said(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_presence(world, 1, "a", "", 1);
    deliver_presence(world, 2, "b", "", 2);
    deliver_message(world, 3);
    deliver_presence(world, 4, "c", "", 3);
    deliver_notice(world, "now");
    deliver_presence(world, 5, "d", "", 4);
    deliver_gap(world, 9, 2);
    deliver_presence(world, 10, "e", "", 5);
    deliver_epoch(world, "two");
    assert_string_equal(got(guest),
                        "p1+a=1 p2+b=2 m3 p4+c=3 notice:now p5+d=4 gap:9/2 p10+e=5 epoch:two@10");
}

static void test_who_came_and_went_unseen_is_not_named(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_presence(world, 1, "a", "", 1);
    deliver_presence(world, 2, "b c", "", 3);
    deliver_presence(world, 3, "", "b", 2);
    deliver_message(world, 4);
    assert_string_equal(got(guest), "p1+a=1 p3+c=2 m4");
}

/* All get the same line; applied by id it changes nothing for who has been given the list. */
static void test_a_line_names_everybody_to_who_came_in_while_it_was_collected(void **state)
{
    struct room_world *world = *state;
    struct guest *before = enter(world);
    deliver_presence(world, 1, "a", "", 1);
    deliver_presence(world, 2, "b", "", 2);
    struct guest *newcomer = enter(world);
    assert_string_equal(newcomer->people, "a b ");
    deliver_presence(world, 3, "c", "", 3);
    deliver_message(world, 4);
    assert_string_equal(got(before), "p1+a=1 p3+b+c=3 m4");
    assert_string_equal(got(newcomer), "p3+b+c=3 m4");
    assert_string_equal(newcomer->people, "a b c ");
    assert_int_equal(newcomer->count, 3);
}

/* The list that it was given has somebody who goes before the line is told. */
static void test_who_was_in_a_list_and_goes_is_named_to_who_got_that(void **state)
{
    struct room_world *world = *state;
    deliver_presence(world, 1, "a", "", 1);
    deliver_presence(world, 2, "b", "", 2);
    struct guest *guest = enter(world);
    assert_int_equal(guest->view.seq, 2);
    assert_int_equal(guest->view.count, 2);
    assert_string_equal(guest->people, "a b ");
    deliver_presence(world, 3, "", "b", 1);
    deliver_message(world, 4);
    got(guest);
    assert_string_equal(guest->people, "a ");
    assert_int_equal(guest->count, 1);
}

static void test_a_line_names_fifty_and_counts_all(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_presence(world, 1, "first", "", 1);
    for (unsigned i = 0; i < 120; i++) {
        char id[16];
        snprintf(id, sizeof id, "id%u", i);
        deliver_presence(world, 2 + i, id, "", 2 + i);
    }
    deliver_message(world, 122);
    const char *words = got(guest);
    size_t names = 0;
    for (const char *at = words; (at = strchr(at, '+')) != NULL; at++)
        names++;
    assert_int_equal(names, 1 + 50);
    assert_non_null(strstr(words, "=121 m122"));
    assert_int_equal(guest->count, 121);
}

static bool is_word_of(const char *people, const char *id)
{
    char spaced[4096], word[32];
    snprintf(spaced, sizeof spaced, " %s", people);
    snprintf(word, sizeof word, " %s ", id);
    return strstr(spaced, word) != NULL;
}

/* People come and go, somebody says something now and then, and all the time somebody enters: each
 * knows in the end who is there, from the list it was given and the lines that it got. */
static void test_whenever_somebody_enters_it_knows_who_is_there(void **state)
{
    enum { PEOPLE = 30, EVENTS = 600 };
    struct room_world *world = *state;
    struct guest *guests[EVENTS / 10];
    bool here[PEOPLE] = {false};
    uint64_t seq = 0, count = 0;
    unsigned random = 1;
    size_t entered = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        char id[16];
        random = random * 1103515245 + 12345;
        unsigned person = random >> 16 & 0xff;
        if (person >= 8 * PEOPLE) {
            deliver_message(world, ++seq);
            continue;
        }
        person %= PEOPLE;
        snprintf(id, sizeof id, "id%u", person);
        here[person] = !here[person];
        count += here[person] ? 1 : UINT64_MAX;
        deliver_presence(world, ++seq, here[person] ? id : "", here[person] ? "" : id, count);
        if (i % 10 == 9)
            guests[entered++] = enter(world);
        if (random >> 24 == 0)
            got(guests[0]);
    }
    deliver_message(world, ++seq);
    for (size_t i = 0; i < entered; i++) {
        got(guests[i]);
        assert_int_equal(guests[i]->count, count);
        for (unsigned person = 0; person < PEOPLE; person++) {
            char id[16];
            snprintf(id, sizeof id, "id%u", person);
            assert_int_equal(is_word_of(guests[i]->people, id), here[person]);
        }
    }
}

static void test_a_room_may_end_while_a_line_is_collected(void **state)
{
    struct room_world *world = *state;
    deliver_presence(world, 1, "a", "", 1);
    deliver_presence(world, 2, "b", "", 2);
    renew_room(world); /* the old one is freed */
    begin_at(world, 0);
    struct guest *guest = enter(world);
    deliver_message(world, 1);
    assert_string_equal(got(guest), "m1");
}

/* --- The list --- */

static void test_the_list_follows_who_comes_and_goes(void **state)
{
    struct room_world *world = *state;
    deliver_roster(world, "a b", 2);
    assert_string_equal(list_for(world, "a"), "a b");
    deliver_presence(world, 1, "c d", "a", 3);
    deliver_presence(world, 2, "c", "b", 2); /* c is there already */
    deliver_presence(world, 3, "", "nobody", 2);
    assert_string_equal(list_for(world, "c"), "c d");
    assert_int_equal(enter(world)->view.count, 2);
}

static void test_everybody_finds_themselves_in_their_list(void **state)
{
    struct room_world *world = *state;
    assert_string_equal(list_for(world, "me"), "me");
    deliver_roster(world, "a", 2);
    assert_string_equal(list_for(world, "me"), "a me");
}

static void test_a_list_names_two_hundred_and_always_oneself(void **state)
{
    struct room_world *world = *state;
    struct text ids = TEXT_EMPTY;
    size_t names = 1;
    for (unsigned i = 0; i < 300; i++)
        text_print(&ids, "id%u ", i);
    deliver_roster(world, ids.data, 300);
    const char *list = list_for(world, "me");
    for (const char *at = list; (at = strchr(at, ' ')) != NULL; at++)
        names++;
    assert_int_equal(names, 200);
    assert_non_null(strstr(list, " me"));
    text_done(&ids);
}

static void test_a_list_that_is_read_again_replaces_the_one_before(void **state)
{
    struct room_world *world = *state;
    struct guest *guest = enter(world);
    deliver_roster(world, "a b", 2);
    doubt_roster(world);
    deliver_roster(world, "b c", 2);
    second_passes(world);
    assert_string_equal(got(guest), "members:0=2");
    assert_string_equal(guest->people, "b c ");
    second_passes(world);
    assert_string_equal(got(guest), ""); /* told once */
}

static void test_a_list_that_named_too_few_is_due_until_it_was_told(void **state)
{
    struct room_world *world = *state;
    struct guest *first = come_back(world, 0); /* is given no list */
    deliver_roster(world, "a", 3);
    second_passes(world);
    assert_true(roster_asked(world));
    deliver_roster(world, "a b c", 3);
    second_passes(world);
    assert_false(roster_asked(world));
    assert_string_equal(got(first), ""); /* nobody was given the one that named too few */
    deliver_roster(world, "a", 3);
    struct guest *second = enter(world);
    assert_string_equal(second->people, "a ");
    second_passes(world);
    assert_string_equal(got(second), ""); /* there is none better yet */
    deliver_roster(world, "a b c", 3);
    second_passes(world);
    assert_string_equal(got(first), "members:0=3");
    assert_string_equal(got(second), "members:0=3");
    assert_string_equal(second->people, "a b c ");
    clock_skip_ms(5001); /* by then it would be read again if it still named too few */
    second_passes(world);
    assert_false(roster_asked(world));
    assert_string_equal(got(second), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, room_world_set_up, room_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_line_goes_out_at_once_and_those_who_follow_are_batched),
        TEST(test_who_is_in_the_batch_is_told_before_what_is_said),
        TEST(test_who_came_and_went_unseen_is_not_named),
        TEST(test_a_line_names_everybody_to_who_came_in_while_it_was_collected),
        TEST(test_who_was_in_a_list_and_goes_is_named_to_who_got_that),
        TEST(test_a_line_names_fifty_and_counts_all),
        TEST(test_whenever_somebody_enters_it_knows_who_is_there),
        TEST(test_a_room_may_end_while_a_line_is_collected),
        TEST(test_the_list_follows_who_comes_and_goes),
        TEST(test_everybody_finds_themselves_in_their_list),
        TEST(test_a_list_names_two_hundred_and_always_oneself),
        TEST(test_a_list_that_is_read_again_replaces_the_one_before),
        TEST(test_a_list_that_named_too_few_is_due_until_it_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
