/* What the files of room/ share that make up a room: room.c (its life, what happens in it, its
 * members), presence_line.c (who comes and goes, gathered), retention.c (what it forgets),
 * member_list.c (when the roster is read again, and all are told) and registry.c (all rooms). */
#ifndef YUKIZURI_ROOM_INTERNAL_H
#define YUKIZURI_ROOM_INTERNAL_H

#include "base/list.h"
#include "history/presence_batch.h"
#include "history/replay_window.h"
#include "history/room_log.h"
#include "room/registry.h"
#include "room/room.h"
#include "room/roster.h"
#include "room/subscribers.h"

struct rooms {
    struct rooms_options options;
    struct rooms_callbacks callbacks;
    void *arg;
    const struct commands *commands; /* the broker's */
    struct table *by_name;
    struct link in_order; /* all rooms, see rooms_rotate */
    size_t unused;        /* open without a user */
};

struct room {
    struct rooms *rooms;
    void *owner;
    struct link in_rooms; /* in the order of rooms_rotate */
    size_t users;
    int64_t unused_since_ms;
    struct feed *feed; /* this and all below: once it is open */
    struct room_log *log;
    struct roster *roster;
    struct replay_window *window; /* what of it can be replayed */
    struct subscribers *subscribers;
    uint64_t seq;           /* of the last event in log and roster */
    uint64_t delivered_seq; /* number of the last one that everybody was sent, but the slow */
    struct {                /* retention.c */
        uint64_t seq;   /* last number that fell off the log and that Redis still keeps; 0: none */
        unsigned ticks; /* for how long there has been one */
        bool said;      /* a message is among them */
    } forgotten;
    struct { /* presence_line.c */
        struct event *window;
        struct presence_batch *batch; /* not shown yet */
        int64_t shown_us;             /* when the latest line was appended, monotonic */
    } presence;
    struct {                 /* member_list.c */
        uint64_t read_at_ms; /* when the roster is to be read anew; 0: no need */
        uint64_t filled_ms;  /* when it was last to be, because it named too few */
        bool due; /* members missed who came and went: they get the list once it is read */
        bool ready;
        bool gave_incomplete; /* somebody was given a list that names fewer than it could */
    } list;
    char name[];
};

/* --- room.c --- */

struct room *room_new(struct rooms *rooms, const char *name);

/* Closes it, if it is open, and frees it. */
void room_free(struct room *room);

/* What a frame is beside its text. */
enum {
    ROOM_TRANSIENT = 1, /* nobody is told of it later */
    ROOM_URGENT = 2     /* somebody said it */
};

/* Everybody here gets it; the text is freed. */
void room_append(struct room *room, struct text *json, unsigned what);

/* --- presence_line.c --- */

void presence_line_open(struct room *room);
void presence_line_close(struct room *room);

/* Somebody came or went: it is shown at once, or together with those who follow. */
void presence_line_add(struct room *room, const struct room_event *event);

/* What is gathered is shown now: something follows that must not overtake it. */
void presence_line_show(struct room *room);

/* --- retention.c --- */

/* For subscribers: everybody but the slow has what is before `limit`. */
void retention_on_served(void *owner, uint64_t limit);

/* Once a second: forgets what is older than `retention`, here and in Redis. */
void retention_tick(struct room *room);

/* --- member_list.c --- */

/* The roster is to be read anew in so long, and everybody here gets the list. */
void member_list_schedule(struct room *room, uint64_t after_ms);

/* The roster was read. */
void member_list_on_roster(struct room *room);
void member_list_tick(struct room *room, uint64_t now_ms);

/* --- registry.c --- */

/* Nobody uses it any more. */
void rooms_on_unused(struct room *room);

/* It is used again. */
void rooms_on_used(struct room *room);

#endif
