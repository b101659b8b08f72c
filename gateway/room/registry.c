#include "room/registry.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

enum {
    LINGER_MS = 30000,
    MOST_UNUSED = 1000,
    ROSTER_REST_MS = 5000, /* while people leave, a thin roster is filled again so seldom */
};

struct rooms {
    struct rooms_options options;
    struct rooms_callbacks callbacks;
    void *arg;
    struct table *places;
    struct link in_order; /* all places, see rooms_rotate */
    struct room_lines lines;
    size_t unused; /* open without a user */
};

static struct table_key name_of(const void *value)
{
    const struct place *place = value;
    return (struct table_key){place->name, strlen(place->name)};
}

/* --- From the feed to the room --- */

static void on_roster_begin(void *owner)
{
    struct place *place = owner;
    room_roster_begin(place->room);
}

static void on_roster_add(void *owner, const char *id, const char *name, const char *address)
{
    struct place *place = owner;
    room_roster_add(place->room, id, name, address);
}

static void on_roster_done(void *owner, uint64_t count)
{
    struct place *place = owner;
    room_roster_done(place->room, count);
    place->list_ready = place->list_owed && place->roster_at_ms == 0;
    if (place->filling)
        place->filled_ms = (uint64_t)clock_monotonic_ms();
    place->filling = false;
}

static void on_roster_event(void *owner, const struct room_event *event)
{
    struct place *place = owner;
    room_roster_catch_up(place->room, event);
}

static void on_start(void *owner, uint64_t seq)
{
    struct place *place = owner;
    room_start(place->room, seq);
}

static void on_remember(void *owner, const struct room_event *event, int64_t at_ms)
{
    struct place *place = owner;
    room_remember(place->room, event, at_ms);
}

static void on_event(void *owner, const struct room_event *event)
{
    struct place *place = owner;
    room_happen(place->room, event);
}

/* The roster is to be read anew, and everybody here gets the list. */
static void owe_list(struct place *place, uint64_t after_ms)
{
    uint64_t at_ms = (uint64_t)clock_monotonic_ms() + after_ms;
    if (place->roster_at_ms < at_ms)
        place->roster_at_ms = at_ms;
    place->list_owed = true;
    place->list_ready = false;
}

/* Who came or went in a gap is read from Redis: when that lost its memory, after a lease, by which
 * time all who are still there have been put back. */
static void on_gap(void *owner, const struct feed_gap *gap)
{
    struct place *place = owner;
    const struct config *config = bus_commands(place->rooms->options.bus)->config;
    room_gap(place->room, gap, feed_epoch(place->feed));
    if (gap->anew)
        place->rooms->callbacks.on_anew(place->rooms->arg, place);
    owe_list(place, gap->anew ? config->lease * 1000 : 0);
}

static void on_epoch(void *owner)
{
    struct place *place = owner;
    room_epoch(place->room, feed_epoch(place->feed));
    place->rooms->callbacks.on_epoch(place->rooms->arg, place);
}

void rooms_doubt_rosters(struct rooms *rooms)
{
    struct place *place;
    for (size_t at = 0; (place = table_next(rooms->places, &at)) != NULL;)
        if (place_is_live(place))
            owe_list(place, bus_commands(rooms->options.bus)->config->lease * 1000);
}

void rooms_on_up(struct rooms *rooms)
{
    struct place *place;
    for (size_t at = 0; (place = table_next(rooms->places, &at)) != NULL;)
        if (place->feed != NULL)
            feed_on_up(place->feed);
}

static void on_live(void *owner)
{
    struct place *place = owner;
    place->rooms->callbacks.on_live(place->rooms->arg, place);
}

static void on_happened(void *owner, bool hurry)
{
    struct place *place = owner;
    place->rooms->callbacks.on_happened(place->rooms->arg, place, hurry);
}

/* --- Places --- */

struct rooms *rooms_new(const struct rooms_options *options,
                        const struct rooms_callbacks *callbacks, void *arg)
{
    struct rooms *rooms = memory_new(sizeof *rooms);
    rooms->options = *options;
    rooms->callbacks = *callbacks;
    rooms->arg = arg;
    rooms->places = table_new(name_of);
    list_init(&rooms->in_order);
    room_lines_init(&rooms->lines, bus_commands(options->bus)->config);
    return rooms;
}

static void count_rooms(const struct rooms *rooms)
{
    bus_commands(rooms->options.bus)->metrics->rooms = table_count(rooms->places);
}

static void free_place(struct place *place)
{
    struct rooms *rooms = place->rooms;
    table_remove(rooms->places, place);
    list_remove(&place->in_rooms);
    list_remove(&place->in_known);
    if (place->feed != NULL) {
        rooms->unused -= place->users == 0;
        feed_close(place->feed);
        rooms->callbacks.on_closed(rooms->arg, place);
    }
    room_free(place->room);
    free(place);
    count_rooms(rooms);
}

void rooms_free(struct rooms *rooms)
{
    if (rooms == NULL)
        return;
    while (!list_is_empty(&rooms->in_order))
        free_place(LIST_ITEM(rooms->in_order.next, struct place, in_rooms));
    table_free(rooms->places);
    free(rooms);
}

struct place *rooms_get(struct rooms *rooms, const char *name)
{
    struct place *place = table_find(rooms->places, name, strlen(name));
    if (place == NULL) {
        place = memory_new(sizeof *place + strlen(name) + 1);
        memcpy(place->name, name, strlen(name) + 1);
        place->rooms = rooms;
        list_init(&place->members);
        list_init(&place->visitors);
        list_init(&place->waiting);
        list_init(&place->farewells);
        list_init(&place->known);
        list_init(&place->in_known);
        list_init(&place->in_rooms);
        list_add(&rooms->in_order, &place->in_rooms);
        table_add(rooms->places, place);
        count_rooms(rooms);
    }
    if (place->feed != NULL && place->users == 0)
        rooms->unused--;
    place->users++;
    return place;
}

void rooms_put(struct place *place)
{
    if (--place->users > 0)
        return;
    place->unused_since_ms = clock_monotonic_ms();
    if (place->feed != NULL)
        place->rooms->unused++;
    if (place->feed == NULL || place->rooms->unused > MOST_UNUSED)
        free_place(place);
}

void place_open(struct place *place)
{
    static const struct feed_callbacks callbacks = {
        .on_roster_begin = on_roster_begin,
        .on_roster_add = on_roster_add,
        .on_roster_done = on_roster_done,
        .on_roster_event = on_roster_event,
        .on_start = on_start,
        .on_remember = on_remember,
        .on_event = on_event,
        .on_gap = on_gap,
        .on_epoch = on_epoch,
        .on_live = on_live,
    };
    if (place->feed != NULL)
        return;
    struct rooms *rooms = place->rooms;
    struct room_options options = {
        .base = rooms->options.base,
        .audiences = rooms->options.audiences,
        .config = bus_commands(rooms->options.bus)->config,
        .metrics = bus_commands(rooms->options.bus)->metrics,
        .lines = &rooms->lines,
        .on_happened = on_happened,
        .owner = place,
    };
    place->room = room_new(&options);
    const struct feed_options feed = {bus_commands(rooms->options.bus),
                                      bus_pubsub(rooms->options.bus)};
    place->feed = feed_open(&feed, place->name, &callbacks, place);
    rooms->callbacks.on_opened(rooms->arg, place);
}

bool place_is_live(const struct place *place)
{
    return place->feed != NULL && feed_is_live(place->feed);
}

struct place *rooms_next(const struct rooms *rooms, size_t *at)
{
    return table_next(rooms->places, at);
}

struct place *rooms_rotate(struct rooms *rooms)
{
    if (list_is_empty(&rooms->in_order))
        return NULL;
    struct place *place = LIST_ITEM(rooms->in_order.next, struct place, in_rooms);
    list_remove(&place->in_rooms);
    list_add(&rooms->in_order, &place->in_rooms);
    return place;
}

/* A crowd that leaves a big room makes its list thin again and again, on every gateway: it is
 * filled seldom, and where nobody is connected only for whoever comes. */
static void fill_thin_roster(struct place *place, uint64_t now_ms)
{
    bool rested = place->filled_ms == 0 || now_ms - place->filled_ms >= ROSTER_REST_MS;
    if (place->filling || place->roster_at_ms != 0 || !rested ||
        room_members_here(place->room) == 0 || !room_roster_is_thin(place->room))
        return;
    place->filling = true;
    place->roster_at_ms = now_ms;
}

static void tick_place(struct place *place, uint64_t now_ms)
{
    if (place->feed != NULL)
        feed_tick(place->feed);
    if (!place_is_live(place))
        return;
    uint64_t forgotten = room_tick(place->room);
    if (forgotten > 0 && feed_is_current(place->feed))
        commands_trim(feed_topic(place->feed), feed_epoch(place->feed), forgotten);
    if (place->list_ready) {
        place->list_owed = place->list_ready = false;
        room_tell_list(place->room);
    } else if (room_owes_list(place->room)) {
        room_tell_list(place->room);
    }
    fill_thin_roster(place, now_ms);
    if (place->roster_at_ms != 0 && place->roster_at_ms <= now_ms) {
        place->roster_at_ms = 0;
        feed_read_roster(place->feed);
    }
}

void rooms_tick(struct rooms *rooms)
{
    int64_t now_ms = clock_monotonic_ms();
    struct place *unused[MOST_UNUSED];
    size_t count = 0; /* closing changes the table: after the walk */
    struct place *place;
    for (size_t at = 0; (place = table_next(rooms->places, &at)) != NULL;) {
        tick_place(place, (uint64_t)now_ms);
        if (place->users == 0 && now_ms - place->unused_since_ms > LINGER_MS && count < MOST_UNUSED)
            unused[count++] = place;
    }
    while (count > 0)
        free_place(unused[--count]);
}
