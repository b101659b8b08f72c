/* audience: the members of one room who are on this gateway, as cursors into the room's log; the
 * way of a frame from the log to the sockets.
 *
 * Owns the cursors; neither the connections nor the log. Whatever is appended to the log goes out
 * from the end of the loop's turn on, a batch of members in each turn, with the rest of the loop in
 * between (see audiences_flush); all rooms of a gateway take turns and share the batches. Almost
 * everybody waits for nothing but shared frames: to all who stand where their neighbours stand the
 * same bytes are sent without a look at their connection (room/batch_send.h). Everybody else (a
 * slow reader, one who comes back, one with bytes of its own) is served one by one. */
#ifndef YUKIZURI_ROOM_SUBSCRIBERS_H
#define YUKIZURI_ROOM_SUBSCRIBERS_H

#include "history/room_log.h"
#include "room/batch_send.h"
#include "telemetry/metrics.h"
#include "telemetry/refusals.h"
#include "websocket/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audiences;
struct audience;

/* All audiences of this gateway; none of what they are given becomes theirs, and
 * `refusals` may be NULL. */
struct audiences *audiences_new(struct sender *sender, struct metrics *metrics,
                                struct refusals *refusals);

/* There must be no audience any more; NULL is fine. */
void audiences_free(struct audiences *all);

/* Sends one batch of what is due. To be called in each iteration, when what came from Redis has
 * been appended. */
void audiences_flush(struct audiences *all);

/* Is something left to be sent? */
bool audiences_have_more(const struct audiences *all);

struct audience_options {
    struct audiences *all;
    struct room_log *log;
    uint64_t backlog; /* bytes that a slow reader may lag behind; 0: any number */
    /* Everybody but the slow has what is before `limit`: the log may be trimmed up to there. */
    void (*on_served)(void *owner, uint64_t limit);
    void *owner;
};

struct audience *audience_new(const struct audience_options *options);

/* It must be empty; NULL is fine. */
void audience_free(struct audience *audience);

/* One more member, who gets what is in the log from `position` on, or from now on when that is the
 * head. */
void audience_add(struct audience *audience, struct connection *connection, uint64_t position);

/* Takes a member out; what it has half received is finished. Does nothing when it is not in. */
void audience_remove(struct audience *audience, struct connection *connection);

/* Something was appended to the log. What is urgent (somebody said it) goes out before what is not
 * in other rooms (who comes and goes); within a room the order is the log's. */
void audience_tell(struct audience *audience, bool urgent);

/* Does somebody but the slow lag behind? Then the log must not be trimmed but from on_served. */
bool audience_is_busy(const struct audience *audience);

/* Before the frames before `position` are evicted: closes (4408) those who have not got them. They
 * may come back and get what they missed. */
void audience_cut_before(struct audience *audience, uint64_t position);

/* How long it takes to send a frame to all of them, as sends have taken lately: time, not CPU, so
 * that it grows when the gateway has to share its core. In microseconds. */
int64_t audience_cost_us(const struct audience *audience);

size_t audience_count(const struct audience *audience);

#endif
