/* The structs of a room and of all rooms, which several files of room/ share. */
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

/* Redis keeps the events of a room that closed until its TTL ends: they count for `retention`, in
 * slots of a share of it. */
enum { CLOSED_SLOTS = 8 };

struct rooms {
    struct rooms_options options;
    struct rooms_callbacks callbacks;
    void *arg;
    const struct commands *commands; /* the broker's */
    struct table *by_name;
    struct link in_order; /* all rooms, see rooms_rotate */
    size_t unused;        /* open without a user */
    size_t open;
    uint64_t kept_bytes;                 /* of the logs of open rooms; */
    uint64_t closed_bytes[CLOSED_SLOTS]; /* of those that closed lately, by when */
    uint64_t closed_sum;                 /* of these */
    int64_t closed_slot;                 /* the present one */
};

struct room {
    struct rooms *rooms;
    void *owner;
    struct link in_rooms; /* in the order of rooms_rotate */
    size_t users;
    int64_t unused_since_ms;
    struct feed *feed; /* this and all below: once it is open */
    struct room_log *log;
    uint64_t kept_bytes; /* of its log, as counted in rooms->kept_bytes */
    struct roster *roster;
    struct replay_window *window; /* what of the log can be replayed */
    struct subscribers *subscribers;
    uint64_t seq;           /* of the last event in log and roster */
    uint64_t delivered_seq; /* of the last one that everybody was sent, but the slow */
    struct {                /* retention.c */
        uint64_t seq;   /* last number that fell off the log and that Redis still keeps; 0: none */
        unsigned ticks; /* for how long there has been one */
        bool message;   /* one is among them */
    } forgotten;
    struct {                          /* presence_line.c */
        struct event *window;         /* the timer that ends it */
        struct presence_batch *batch; /* not flushed yet */
        int64_t flushed_us;           /* when the latest line was appended, monotonic */
    } presence;
    struct {                 /* member_list.c */
        uint64_t read_at_ms; /* when the roster is to be read again; 0: no need */
        uint64_t filled_ms;  /* when it was last to be, because it named too few */
        bool due;   /* members missed who came and went: they get the list once it is read */
        bool ready; /* it was read */
        bool gave_incomplete; /* somebody was given a list that names fewer than it could */
    } list;
    char name[];
};

#endif
