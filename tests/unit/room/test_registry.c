/* rooms: a walk over them that goes on later, while rooms come and go. */
#include "unit.h"

#include "room/registry.h"
#include "telemetry/log.h"

#include <event2/event.h>

enum { ROOMS = 400, STAYING = 40, CLOSING_AT_ONCE = 30 };

static char *no_environment[] = {NULL};

struct world {
    struct event_base *base;
    struct config config;
    struct metrics metrics;
    struct broker *broker;
    struct rooms *rooms;
};

/* The owner of a room: was it met? */
static void *make_owner(void *arg, struct room *room)
{
    (void)arg;
    (void)room;
    return calloc(1, sizeof(bool));
}

static bool *met_of(struct room *room)
{
    return room_owner(room);
}

/* A broker that never connects: rooms without members have no feed. */
static void make(struct world *world)
{
    static const struct broker_callbacks nothing;
    static const struct rooms_callbacks owners = {.on_made = make_owner, .on_freed = free};
    char error[256];
    char *arguments[] = {(char[]){"yukizuri"}, (char[]){"--redis"}, (char[]){"unix:/nowhere"}};
    config_load(&world->config, 3, arguments, no_environment);
    world->base = event_base_new();
    const struct broker_options broker = {world->base, &world->config, &world->config.redis_url,
                                          &world->metrics, NULL};
    world->broker = broker_new(&broker, &nothing, NULL, error, sizeof error);
    const struct rooms_options rooms = {world->base, NULL, world->broker};
    world->rooms = rooms_new(&rooms, &owners, NULL);
}

static void unmake(struct world *world)
{
    rooms_free(world->rooms);
    broker_stop(world->broker);
    broker_free(world->broker);
    event_base_free(world->base);
    config_done(&world->config);
}

static struct room *get(struct world *world, int number)
{
    char name[24];
    snprintf(name, sizeof name, "room-%d", number);
    return rooms_get(world->rooms, name);
}

/* Between two steps of the walk many rooms close and one opens, so that the table shrinks: most of
 * those who stay change their positions in it.
 */
static void test_rooms_rotate_passes_over_no_room_while_others_come_and_go(void **state)
{
    struct world world = {0};
    struct room *all[ROOMS];
    int met[ROOMS] = {0};
    (void)state;
    make(&world);
    for (int i = 0; i < ROOMS; i++)
        all[i] = get(&world, i);
    int closing = STAYING;
    int opened = ROOMS;
    struct room *room;
    while ((room = rooms_rotate(world.rooms)) != NULL && !*met_of(room)) {
        int number = atoi(room_name(room) + strlen("room-"));
        *met_of(room) = true;
        if (number < ROOMS)
            met[number]++;
        for (int i = 0; i < CLOSING_AT_ONCE && closing < ROOMS; i++)
            rooms_release(all[closing++]);
        if (opened < ROOMS + 20)
            *met_of(get(&world, opened++)) = true;
    }
    for (int i = 0; i < STAYING; i++)
        assert_int_equal(met[i], 1);
    unmake(&world);
}

static void test_rooms_rotate_without_rooms(void **state)
{
    struct world world = {0};
    (void)state;
    make(&world);
    assert_null(rooms_rotate(world.rooms));
    unmake(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rooms_rotate_passes_over_no_room_while_others_come_and_go),
        cmocka_unit_test(test_rooms_rotate_without_rooms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
