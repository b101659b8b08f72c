/* rooms: the rooms that are open on this gateway, by name. Owns each one's room and feed, and
 * carries what the feed says to the room. A room opens with its first member and closes some time
 * after the last one left, so that coming and going costs no reading of kept events. */
#ifndef YUKIZURI_ROOM_REGISTRY_H
#define YUKIZURI_ROOM_REGISTRY_H

#include "base/list.h"
#include "broker/broker.h"
#include "room/feed.h"
#include "room/room.h"

struct rooms;
struct join_call;

/* A room with those who use it. */
struct place {
    struct rooms *rooms;
    struct link in_rooms; /* in the order of rooms_rotate */
    struct room *room;    /* NULL until place_open */
    struct feed *feed;    /* the same */
    size_t users;
    int64_t unused_since_ms;
    struct link members;     /* for session: who is in, connected or not */
    struct link visitors;    /* for session: who is not */
    struct link waiting;     /* for session: who waits for on_live or on_happened */
    struct join_call *joins; /* for session: the call that takes more people, or NULL */
    struct link farewells;   /* for session: they wait for a call of leave.lua */
    size_t farewell_count;   /* so many */
    size_t leave_calls;      /* for session: so many calls stand in line for them */
    struct link known;       /* for session: who is about to be welcomed */
    struct link in_known;    /* for session: of the places with somebody in `known` */
    int64_t refresh_at_ms;
    int64_t reconcile_at_ms; /* for session: see session/reconcile.c; 0: no need */
    uint64_t refresh_walk;   /* for session: the last one that came by here */
    int64_t unsettled_until_ms;
    uint64_t roster_at_ms; /* when the roster is to be read anew; 0: no need */
    bool filling;          /* the roster is being read because it names too few */
    uint64_t filled_ms;    /* when it last was */
    bool list_owed;        /* members missed who came and went: they get the list once it is read */
    bool list_ready;
    char name[];
};

/* on_opened and on_closed are called from within place_open, and rooms_put, rooms_tick or
 * rooms_free, and may not change which places there are; the others from the event loop. */
struct rooms_callbacks {
    void (*on_live)(void *arg, struct place *place);
    void (*on_happened)(void *arg, struct place *place, bool hurry); /* see room/room.h */
    void (*on_anew)(void *arg, struct place *place);  /* Redis lost what it knew of the room */
    void (*on_epoch)(void *arg, struct place *place); /* it goes on with another history */
    void (*on_opened)(void *arg, const struct place *place);
    void (*on_closed)(void *arg, const struct place *place);
};

struct rooms_options {
    struct event_base *base;
    struct audiences *audiences;
    struct bus *bus;
};

struct rooms *rooms_new(const struct rooms_options *options,
                        const struct rooms_callbacks *callbacks, void *arg);

/* All places must have been put back. */
void rooms_free(struct rooms *rooms);

/* The place of this name, made if need be; one more user of it. */
struct place *rooms_get(struct rooms *rooms, const char *name);
void rooms_put(struct place *place);

/* Opens its feed, should it not be open. */
void place_open(struct place *place);
bool place_is_live(const struct place *place);

/* Walks over all places: start with *at = 0, NULL ends. No room may be opened or closed meanwhile
 * (table_next). */
struct place *rooms_next(const struct rooms *rooms, size_t *at);

/* The place that has waited longest since this returned it, or since it was made; it is the last in
 * line then. NULL: there is none. Rooms may come and go between two calls, and none of the others
 * is passed over. */
struct place *rooms_rotate(struct rooms *rooms);

/* Redis is there (again): feeds ask for what they wait for. */
void rooms_on_up(struct rooms *rooms);

/* Keys may have run out unseen: reads every roster anew, after a lease, and tells all members. */
void rooms_doubt_rosters(struct rooms *rooms);

/* To be called once a second: forgets old events, closes unused rooms. */
void rooms_tick(struct rooms *rooms);

#endif
