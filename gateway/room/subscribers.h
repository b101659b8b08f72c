/* subscribers: the members of one room who are on this gateway, as cursors into the room's log.
 *
 * Owns the cursors; neither the connections nor the log. Whatever is appended to the log is due to
 * all of them: they are in a queue then, from which fanout.h serves the rooms of a gateway one
 * after the other. Almost everybody waits for nothing but shared frames. Everybody else (a slow
 * reader, one who comes back, one with bytes of its own) is served one by one, here. */
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

/* Those of all rooms that have something due; the first is next. fanout.h takes them from it. */
struct subscribers_queue {
    struct link urgent; /* something was said */
    struct link others; /* somebody came or went */
    struct metrics *metrics;
    struct refusals *refusals; /* NULL: nothing is noted */
    struct deflater *deflater; /* of the connections; NULL: none is deflated */
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

/* Appends the frame to the log, which takes it over; everybody gets it. What is urgent (somebody
 * said it) goes out before what is not in other rooms (who comes and goes); within a room the order
 * is the log's. */
void subscribers_append(struct subscribers *subscribers, struct frame *frame,
                        struct room_log_mark mark, bool urgent);

/* Does somebody but the slow lag behind? Then the log must not be trimmed but from on_served. */
bool subscribers_is_busy(const struct subscribers *subscribers);

/* Before the frames before `position` are evicted: closes (4408) those who have not got them. They
 * may come back and get what they missed. */
void subscribers_cut_before(struct subscribers *subscribers, uint64_t position);

size_t subscribers_count(const struct subscribers *subscribers);

/* --- For the flush (fanout.c); a slot is one member (fanout_internal.h) --- */

struct slot;

/* Puts the subscribers in the queue, should they not be there; before all that are not urgent, if
 * they are urgent themselves. */
void subscribers_enqueue(struct subscribers *subscribers, bool urgent);

/* Serves one who is not in sync; who is slow is left to its socket, unless it lags too far behind.
 */
void subscribers_serve_or_cut(struct subscribers *subscribers, struct slot *slot);

/* The socket took so many of the bytes from the slot's cursor on, and not all; -1: it is broken. */
void subscribers_note_short(struct subscribers *subscribers, struct slot *slot, int32_t sent);

#endif
