/* registry: the rooms of this gateway, by name. A room opens with its first member and closes some
 * time after the last one left, so that coming and going costs no reading of kept events. */
#ifndef YUKIZURI_ROOM_REGISTRY_H
#define YUKIZURI_ROOM_REGISTRY_H

#include "broker/broker.h"
#include "room/room.h"

struct subscribers_queue;
struct rooms;

/* on_opened is called from within room_open, and rooms_release, rooms_tick or rooms_free, and may
 * not change which rooms there are; on_live to on_epoch come from the event loop. */
struct rooms_callbacks {
    /* A room was named: returns its owner, which is handed to the others. Freed with the room. */
    void *(*on_made)(void *arg, struct room *room);
    void (*on_freed)(void *owner);
    void (*on_opened)(void *owner, bool open); /* or closed */
    void (*on_live)(void *owner);              /* people may come in */
    /* Whoever waits for an event up to room_seq may enter: the roster includes it. `hurry`: before
     * what is said next, which is for all who came in before it. */
    void (*on_happened)(void *owner, bool hurry);
    void (*on_reset)(void *owner); /* Redis lost what it knew of the room */
    void (*on_epoch)(void *owner); /* it goes on with another history */
};

/* All of it must outlive the rooms. */
struct rooms_options {
    struct event_base *base;
    struct subscribers_queue *queue;
    struct broker *broker;
};

struct rooms *rooms_new(const struct rooms_options *options,
                        const struct rooms_callbacks *callbacks, void *arg);

/* Nobody may use a room any more. NULL is fine. */
void rooms_free(struct rooms *rooms);

/* The room of this name, made if need be; one more user of it (rooms_release). */
struct room *rooms_get(struct rooms *rooms, const char *name);

/* Bytes of kept events: of the rooms that are open, and of those that were within `retention`. */
uint64_t rooms_count_bytes(const struct rooms *rooms);

/* Open rooms with a user. */
size_t rooms_count_used(const struct rooms *rooms);
/* The room of this name; NULL: there is none here. */
struct room *rooms_find(const struct rooms *rooms, const char *name);

/* One more user of the room, and one less: without any it closes after a while, and is freed; at
 * once when it is not open. */
void rooms_hold(struct room *room);
void rooms_release(struct room *room);

/* Walks over all rooms: start with *at = 0, NULL ends. No room may come or go meanwhile
 * (table_next). */
struct room *rooms_next(const struct rooms *rooms, size_t *at);

/* The room that has waited longest since this returned it, or since it was made; it is the last of
 * all then. NULL: there is none. Rooms may come and go between two calls, and none of the others
 * is passed over. */
struct room *rooms_rotate(struct rooms *rooms);

/* Redis is there (again): feeds ask for what they wait for. */
void rooms_on_up(struct rooms *rooms);

/* Keys may have run out unseen: reads every roster, after a lease, and tells all members. */
void rooms_refresh_rosters(struct rooms *rooms);

/* To be called once a second: forgets old events, closes unused rooms. */
void rooms_tick(struct rooms *rooms);

#endif
