/* subscribers: the members of one room who are on this gateway, as cursors into the room's log.
 *
 * Owns the cursors; neither the connections nor the log. Whatever is appended to the log is due to
 * all of them: they stand in a queue then, from which fanout.h serves the rooms of a gateway in
 * turns. Almost everybody waits for nothing but shared frames. Everybody else (a slow reader, one
 * who comes back, one with bytes of its own) is served one by one, here. */
#ifndef YUKIZURI_ROOM_SUBSCRIBERS_H
#define YUKIZURI_ROOM_SUBSCRIBERS_H

#include "base/list.h"
#include "history/room_log.h"
#include "telemetry/metrics.h"
#include "telemetry/refusals.h"
#include "websocket/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct subscribers;

/* In which those of all rooms stand who have something due; the first is next. Whoever sends takes
 * them from it (room/fanout.h). */
struct subscribers_queue {
    struct link urgent; /* something was said */
    struct link rest;   /* only came or went */
    struct metrics *metrics;
    struct refusals *refusals; /* NULL: nothing is noted */
};

struct subscribers_options {
    struct subscribers_queue *queue;
    struct room_log *log;
    uint64_t backlog; /* bytes that a slow reader may lag behind; 0: any number */
    /* Everybody but the slow has what is before `limit`: the log may be trimmed up to there. */
    void (*on_served)(void *owner, uint64_t limit);
    void *owner;
};

struct subscribers *subscribers_new(const struct subscribers_options *options);

/* It must be empty; NULL is fine. */
void subscribers_free(struct subscribers *subscribers);

/* One more member, who gets what is in the log from `position` on, or from now on when that is the
 * head. */
void subscribers_add(struct subscribers *subscribers, struct connection *connection,
                     uint64_t position);

/* Takes a member out; what it has half received is finished. Does nothing when it is not in. */
void subscribers_remove(struct subscribers *subscribers, struct connection *connection);

/* Something was appended to the log. What is urgent (somebody said it) goes out before what is not
 * in other rooms (who comes and goes); within a room the order is the log's. */
void subscribers_tell(struct subscribers *subscribers, bool urgent);

/* Does somebody but the slow lag behind? Then the log must not be trimmed but from on_served. */
bool subscribers_is_busy(const struct subscribers *subscribers);

/* Before the frames before `position` are evicted: closes (4408) those who have not got them. They
 * may come back and get what they missed. */
void subscribers_cut_before(struct subscribers *subscribers, uint64_t position);

size_t subscribers_count(const struct subscribers *subscribers);

#endif
