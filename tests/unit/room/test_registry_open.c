/* rooms: opening, and closing some time after the last one left. */
#include "unit.h"

#include "room/member_list.h"
#include "rooms_world.h"
#include "skipping_clock.h"

enum { LINGER_MS = 30000, MOST_UNUSED = 1000 };

static void test_a_room_that_nobody_opens_asks_redis_for_nothing(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = rooms_get(world->rooms, "tea");
    assert_ptr_equal(rooms_get(world->rooms, "tea"), room);
    tick(world);
    assert_string_equal(told(world), "");
    assert_false(is_listening(world, ROOMS_CHANNEL));
    assert_int_equal(world->metrics.rooms, 1);
    rooms_release(room);
    assert_int_equal(world->metrics.rooms, 1);
    rooms_release(room);
    assert_int_equal(world->metrics.rooms, 0); /* it was never open: it does not linger */
    assert_string_equal(told(world), "");
}

static void test_a_room_opens_once_and_tells_when_it_is_live(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_room(world, "tea");
    room_open(room);
    assert_string_equal(told(world), "opened:tea");
    assert_false(room_is_live(room));
    assert_true(is_listening(world, ROOMS_CHANNEL));
    answer_roster(world, "one", 3, 1);
    assert_string_equal(told(world), "");
    answer_kept(world, "one", 3, "");
    assert_string_equal(told(world), "live:tea");
    assert_true(room_is_live(room));
    assert_int_equal(room_seq(room), 3);
    assert_int_equal(room_count(room), 1);
    assert_string_equal(member_list_json(room, "", NULL), "{\"id\":\"a\",\"name\":\"Ann\"}");
}

/* Redis has them until their time is over. */
static void test_what_a_closed_room_has_stored_counts_for_retention(void **state)
{
    struct rooms_world *world = *state;
    const int64_t retention_ms = (int64_t)world->config.retention * 1000;
    struct room *room = open_live(world);
    publish_message(world, 4);
    told(world); /* it has come */
    tick(world);
    uint64_t bytes = rooms_count_bytes(world->rooms);
    assert_true(bytes > 0);
    rooms_release(room);
    clock_skip_ms(LINGER_MS + 1000);
    tick(world);
    assert_int_equal(world->metrics.rooms, 0);
    assert_int_equal(rooms_count_bytes(world->rooms), bytes);
    clock_skip_ms(retention_ms - 1000);
    tick(world);
    assert_int_equal(rooms_count_bytes(world->rooms), bytes);
    clock_skip_ms(retention_ms);
    tick(world);
    assert_int_equal(rooms_count_bytes(world->rooms), 0);
}

static void test_a_room_lingers_so_that_coming_back_costs_no_reading(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_live(world);
    rooms_release(room);
    clock_skip_ms(LINGER_MS - 1000);
    tick(world);
    assert_ptr_equal(open_room(world, "tea"), room);
    clock_skip_ms(LINGER_MS - 1000); /* it is in use again */
    tick(world);
    rooms_release(room);
    clock_skip_ms(LINGER_MS - 1000); /* and was until lately */
    tick(world);
    publish_message(world, 4);
    assert_string_equal(told(world), "hurry:tea news:tea");
    assert_int_equal(roster_calls(world), 1);
}

static void test_a_room_closes_some_time_after_the_last_one_left(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_live(world);
    rooms_release(room);
    tick(world);
    assert_string_equal(told(world), "");
    clock_skip_ms(LINGER_MS + 1);
    tick(world);
    assert_string_equal(told(world), "closed:tea");
    assert_false(is_listening(world, ROOMS_CHANNEL));
    assert_int_equal(world->metrics.rooms, 0);
    publish_message(world, 4);
    tick(world);
    assert_string_equal(told(world), "");
}

static void test_a_room_that_closed_can_be_opened_again(void **state)
{
    struct rooms_world *world = *state;
    rooms_release(open_live(world));
    clock_skip_ms(LINGER_MS + 1);
    tick(world);
    assert_string_equal(told(world), "closed:tea");
    struct room *room = open_room(world, "tea");
    answer_roster(world, "one", 8, 2);
    answer_kept(world, "one", 8, "");
    assert_string_equal(told(world), "opened:tea live:tea");
    assert_int_equal(room_seq(room), 8);
}

static void test_a_room_may_close_while_it_opens(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_room(world, "tea");
    struct fake_redis_call *late = fake_redis_await(world->fake, "roster");
    rooms_release(room);
    clock_skip_ms(LINGER_MS + 1);
    tick(world);
    fake_redis_answer(late, "['one', 3, 0, 1, 'a', 'Ann', '']");
    assert_string_equal(told(world), "opened:tea closed:tea");
}

static void test_of_very_many_unused_rooms_the_last_close_at_once(void **state)
{
    struct rooms_world *world = *state;
    struct room *rooms[MOST_UNUSED + 2];
    char name[24];
    for (int i = 0; i < MOST_UNUSED + 2; i++) {
        snprintf(name, sizeof name, "room-%d", i);
        rooms[i] = open_room(world, name);
    }
    fake_redis_settle(world->fake);
    text_clear(&world->told);
    for (int i = 0; i < MOST_UNUSED + 2; i++)
        rooms_release(rooms[i]);
    assert_string_equal(told(world), "closed:room-1000 closed:room-1001");
    clock_skip_ms(LINGER_MS + 1);
    tick(world);
    assert_int_equal(world->metrics.rooms, 0);
}

static void test_all_rooms_close_when_the_program_ends(void **state)
{
    struct rooms_world *world = *state;
    rooms_release(open_live(world));
    rooms_release(open_room(world, "coffee")); /* its answers are under way */
    rooms_get(world->rooms, "never opened");
    told(world);
    rooms_free(world->rooms);
    world->rooms = NULL;
    assert_string_equal(told(world), "closed:tea closed:coffee");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rooms_world_set_up, rooms_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_room_that_nobody_opens_asks_redis_for_nothing),
        TEST(test_a_room_opens_once_and_tells_when_it_is_live),
        TEST(test_what_a_closed_room_has_stored_counts_for_retention),
        TEST(test_a_room_lingers_so_that_coming_back_costs_no_reading),
        TEST(test_a_room_closes_some_time_after_the_last_one_left),
        TEST(test_a_room_that_closed_can_be_opened_again),
        TEST(test_a_room_may_close_while_it_opens),
        TEST(test_of_very_many_unused_rooms_the_last_close_at_once),
        TEST(test_all_rooms_close_when_the_program_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
