#include "room/registry.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/table.h"
#include "room/internal.h"
#include "room/member_list.h"
#include "room/retention.h"

#include <stdlib.h>
#include <string.h>

enum { LINGER_MS = 30000, MOST_UNUSED = 1000 };

static struct table_key name_of(const void *value)
{
    const struct room *room = value;
    return (struct table_key){room->name, strlen(room->name)};
}

struct rooms *rooms_new(const struct rooms_options *options,
                        const struct rooms_callbacks *callbacks, void *arg)
{
    struct rooms *rooms = memory_new(sizeof *rooms);
    rooms->options = *options;
    rooms->callbacks = *callbacks;
    rooms->arg = arg;
    rooms->commands = broker_commands(options->broker);
    rooms->by_name = table_new(name_of);
    list_init(&rooms->in_order);
    return rooms;
}

static void count_rooms(const struct rooms *rooms)
{
    rooms->commands->metrics->rooms = table_count(rooms->by_name);
}

/* --- What closed rooms leave in Redis --- */

static int64_t slot_ms(const struct rooms *rooms)
{
    return (int64_t)rooms->commands->config->retention * 1000 / (CLOSED_SLOTS - 1) + 1;
}

static void turn_slots(struct rooms *rooms)
{
    int64_t slot = clock_monotonic_ms() / slot_ms(rooms);
    for (int i = 0; rooms->closed_slot < slot && i < CLOSED_SLOTS; i++) {
        uint64_t *oldest = &rooms->closed_bytes[++rooms->closed_slot % CLOSED_SLOTS];
        rooms->closed_sum -= *oldest;
        *oldest = 0;
    }
    rooms->closed_slot = slot;
}

static void count_closed(struct room *room)
{
    struct rooms *rooms = room->rooms;
    turn_slots(rooms);
    rooms->kept_bytes -= room->kept_bytes;
    if (rooms->commands->config->retention == 0)
        return;
    rooms->closed_bytes[rooms->closed_slot % CLOSED_SLOTS] += room->kept_bytes;
    rooms->closed_sum += room->kept_bytes;
}

/* --- Making, finding and freeing --- */

static void remove_room(struct room *room)
{
    struct rooms *rooms = room->rooms;
    table_remove(rooms->by_name, room);
    list_remove(&room->in_rooms);
    rooms->unused -= room_is_open(room) && room->users == 0;
    count_closed(room);
    room_free(room);
    count_rooms(rooms);
}

void rooms_free(struct rooms *rooms)
{
    if (rooms == NULL)
        return;
    while (!list_is_empty(&rooms->in_order))
        remove_room(LIST_ITEM(rooms->in_order.next, struct room, in_rooms));
    table_free(rooms->by_name);
    free(rooms);
}

struct room *rooms_find(const struct rooms *rooms, const char *name)
{
    return table_find(rooms->by_name, name, strlen(name));
}

struct room *rooms_get(struct rooms *rooms, const char *name)
{
    struct room *room = table_find(rooms->by_name, name, strlen(name));
    if (room == NULL) {
        room = room_new(rooms, name);
        list_add(&rooms->in_order, &room->in_rooms);
        table_add(rooms->by_name, room);
        count_rooms(rooms);
    }
    rooms_hold(room);
    return room;
}

uint64_t rooms_count_bytes(const struct rooms *rooms)
{
    return rooms->kept_bytes + rooms->closed_sum;
}

size_t rooms_count_used(const struct rooms *rooms)
{
    return rooms->open - rooms->unused;
}

void rooms_hold(struct room *room)
{
    if (room->users++ == 0)
        room->rooms->unused -= room_is_open(room);
}

void rooms_release(struct room *room)
{
    struct rooms *rooms = room->rooms;
    if (--room->users > 0)
        return;
    room->unused_since_ms = clock_monotonic_ms();
    rooms->unused += room_is_open(room);
    if (!room_is_open(room) || rooms->unused > MOST_UNUSED)
        remove_room(room);
}

struct room *rooms_next(const struct rooms *rooms, size_t *at)
{
    return table_next(rooms->by_name, at);
}

struct room *rooms_rotate(struct rooms *rooms)
{
    if (list_is_empty(&rooms->in_order))
        return NULL;
    struct room *room = LIST_ITEM(rooms->in_order.next, struct room, in_rooms);
    list_remove(&room->in_rooms);
    list_add(&rooms->in_order, &room->in_rooms);
    return room;
}

void rooms_on_up(struct rooms *rooms)
{
    struct room *room;
    for (size_t at = 0; (room = rooms_next(rooms, &at)) != NULL;)
        if (room_is_open(room))
            feed_proceed(room->feed);
}

void rooms_refresh_rosters(struct rooms *rooms)
{
    struct room *room;
    for (size_t at = 0; (room = rooms_next(rooms, &at)) != NULL;)
        if (room_is_live(room))
            member_list_schedule(room, rooms->commands->config->lease * 1000);
}

static void tick_open_room(struct room *room, int64_t now_ms)
{
    if (room_is_open(room))
        feed_tick(room->feed);
    if (!room_is_live(room))
        return;
    retention_tick(room);
    member_list_tick(room, (uint64_t)now_ms);
}

void rooms_tick(struct rooms *rooms)
{
    int64_t now_ms = clock_monotonic_ms();
    struct link *next;
    turn_slots(rooms);
    for (struct link *at = rooms->in_order.next; at != &rooms->in_order; at = next) {
        struct room *room = LIST_ITEM(at, struct room, in_rooms);
        next = at->next;
        tick_open_room(room, now_ms);
        if (room->users == 0 && now_ms - room->unused_since_ms > LINGER_MS)
            remove_room(room);
    }
}
