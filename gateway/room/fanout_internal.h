/* The slots of a room: room/subscribers.c changes them, and room/fanout.c goes over them. */
#ifndef YUKIZURI_ROOM_FANOUT_INTERNAL_H
#define YUKIZURI_ROOM_FANOUT_INTERNAL_H

#include "base/list.h"
#include "room/subscribers.h"

#include <assert.h>

/* A member: a connection and where it is in the log. Two fit into a cache line; a flush looks at
 * nothing else of those who are in sync: whose cursor is at a frame's beginning, and whose
 * connection has neither bytes of its own nor a full socket, nor ends. */
struct slot {
    struct connection *connection;
    struct room_log_cursor cursor;
    int in_sync_fd; /* the socket; -1 for who is not in sync, and must be served one by one */
};

static_assert(sizeof(struct slot) <= 32, "two in a cache line");

/* The flush goes round and round over the slots and never waits for an end: everybody gets what is
 * in the log when it comes by. What is said while it is under way goes to the next slots at once,
 * and to those before them on the next round, so that nobody waits longer than one round. */
struct subscribers {
    struct subscribers_options options;
    struct slot *slots;
    uint32_t count, capacity;
    uint32_t flush_at; /* the next slot; those before it have been visited in this round */
    uint32_t due;      /* so many slots from there on, and on from the first, lag behind the head */
    uint64_t round_from; /* the head when this round began: whoever was visited has all before it */
    struct link in_queue; /* of those with something due, or the batch that is under way */
    bool urgent;          /* some of it was said */
};

#endif
