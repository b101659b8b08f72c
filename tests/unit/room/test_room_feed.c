/* rooms: what is carried from a room's feed to the room, its members and its users; and the lists
 * that are read again. */
#include "unit.h"

#include "room/member_list.h"
#include "rooms_world.h"
#include "skipping_clock.h"

static void test_what_is_published_reaches_the_room_and_its_members(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_live(world);
    enter(world, room);
    publish_message(world, 4);
    fake_redis_publish(
        world->fake, ROOMS_CHANNEL,
        "{\"type\":\"presence\",\"seq\":5,\"joined\":[{\"id\":\"b\",\"name\":\"Bob\"}],"
        "\"left\":[{\"id\":\"a\",\"name\":\"Ann\"}],\"count\":1}");
    assert_string_equal(told(world), "hurry:tea news:tea news:tea");
    const char *bytes = got(world);
    assert_non_null(strstr(bytes, "\"seq\":4"));
    assert_non_null(strstr(bytes, "\"seq\":5"));
    assert_string_equal(member_list_json(room, "", NULL), "{\"id\":\"b\",\"name\":\"Bob\"}");
}

static void test_after_a_gap_the_list_is_read_and_told_to_everybody(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_live(world);
    enter(world, room);
    publish_message(world, 9);
    answer_kept(world, "one", 9, "");
    assert_string_equal(told(world), "news:tea hurry:tea news:tea");
    assert_int_equal(room_seq(room), 9);
    tick(world);
    answer_roster(world, "one", 9, 1);
    assert_non_null(strstr(got(world), "\"type\":\"gap\""));
    tick(world);
    assert_non_null(strstr(got(world), "\"type\":\"members\""));
    tick(world);
    assert_string_equal(got(world), "");
    assert_int_equal(roster_calls(world), 2);
}

/* By then all who are still there have been reinstated. */
static void test_when_redis_lost_its_memory_the_list_is_read_after_a_lease(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_live(world);
    enter(world, room);
    publish_message(world, 1);
    answer_kept(world, "two", 1, "");
    answer_kept(world, "two", 1, "");
    assert_string_equal(told(world), "news:tea reset:tea");
    assert_int_equal(room_seq(room), 1);
    clock_skip_ms((int64_t)world->config.lease * 1000 - 1000);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world), 1);
    clock_skip_ms(1001);
    tick(world);
    answer_roster(world, "two", 1, 1);
    got(world);
    tick(world);
    assert_non_null(strstr(got(world), "\"type\":\"members\""));
}

static void test_an_epoch_that_goes_on_is_told(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_live(world);
    enter(world, room);
    fake_redis_publish(world->fake, ROOMS_CHANNEL,
                       "{\"type\":\"epoch\",\"epoch\":\"two\",\"seq\":3}");
    answer_kept(world, "two", 3, "one:3");
    assert_string_equal(told(world), "news:tea epoch:tea");
    assert_non_null(strstr(got(world), "{\"type\":\"epoch\",\"epoch\":\"two\",\"seq\":3}"));
}

static void test_lists_in_doubt_are_read_again_after_a_lease(void **state)
{
    struct rooms_world *world = *state;
    open_live(world);
    open_room(world, "coffee"); /* it is not live: there is nothing to doubt */
    rooms_get(world->rooms, "never opened");
    fake_redis_settle(world->fake);
    fake_redis_await(world->fake, "roster"); /* coffee's */
    rooms_refresh_rosters(world->rooms);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world), 2);
    clock_skip_ms((int64_t)world->config.lease * 1000 + 1);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world), 3);
}

/* A member is here, and the list names one of three. */
static void test_a_incomplete_list_is_filled_now_and_then_where_somebody_is_here(void **state)
{
    struct rooms_world *world = *state;
    struct room *room = open_room(world, "tea");
    answer_roster(world, "one", 3, 3);
    answer_kept(world, "one", 3, "");
    fake_redis_settle(world->fake);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world), 1); /* nobody is here to be shown it */
    enter(world, room);
    tick(world);
    answer_roster(world, "one", 3, 3);
    fake_redis_settle(world->fake);
    for (int second = 1; second < 5; second++)
        tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world), 2);
    clock_skip_ms(5001);
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(roster_calls(world), 3);
}

static void test_redis_forgets_what_the_room_has_forgotten(void **state)
{
    struct rooms_world *world = *state;
    open_live(world);
    publish_message(world, 4);
    told(world);
    clock_skip_ms((int64_t)world->config.retention * 1000 + 1);
    publish_message(world, 5);
    told(world);
    tick(world);
    struct fake_redis_call *trim = fake_redis_await(world->fake, "trim");
    assert_string_equal(fake_redis_key(trim, 1), ROOMS_CHANNEL);
    assert_string_equal(fake_redis_argument(trim, 5), "4");
    assert_string_equal(fake_redis_argument(trim, 6), "one");
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(fake_redis_count(world->fake, "trim"), 1);
}

/* Its numbers may not be those of Redis any more. */
static void test_redis_forgets_nothing_while_the_room_does_not_know_where_it_is(void **state)
{
    struct rooms_world *world = *state;
    open_live(world);
    publish_message(world, 4);
    told(world);
    clock_skip_ms((int64_t)world->config.retention * 1000 + 1);
    publish_message(world, 5);
    publish_message(world, 9);
    fake_redis_await(world->fake, "recent");
    tick(world);
    fake_redis_settle(world->fake);
    assert_int_equal(fake_redis_count(world->fake, "trim"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rooms_world_set_up, rooms_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_published_reaches_the_room_and_its_members),
        TEST(test_after_a_gap_the_list_is_read_and_told_to_everybody),
        TEST(test_when_redis_lost_its_memory_the_list_is_read_after_a_lease),
        TEST(test_an_epoch_that_goes_on_is_told),
        TEST(test_lists_in_doubt_are_read_again_after_a_lease),
        TEST(test_a_incomplete_list_is_filled_now_and_then_where_somebody_is_here),
        TEST(test_redis_forgets_what_the_room_has_forgotten),
        TEST(test_redis_forgets_nothing_while_the_room_does_not_know_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
