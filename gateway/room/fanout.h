/* fanout: the way of frames from the rooms' logs to the sockets, all rooms of a gateway in batches
 * that they share.
 *
 * To all who wait for nothing but shared frames and are where their neighbours are the same
 * bytes are sent (room/batch_send.h) without a look at their connection; whoever is left is served
 * one by one (room/subscribers.h). What was said goes before who came and went in other rooms. */
#ifndef YUKIZURI_ROOM_FANOUT_H
#define YUKIZURI_ROOM_FANOUT_H

#include "room/batch_send.h"
#include "room/subscribers.h"

struct fanout;

/* None of what it is given becomes its own; `refusals` may be NULL. */
struct fanout *fanout_new(struct batch_send *sender, struct metrics *metrics,
                          struct refusals *refusals);

/* Nobody may be in its queue any more; NULL is fine. */
void fanout_free(struct fanout *fanout);

/* Where subscribers are when something is due. */
struct subscribers_queue *fanout_queue(struct fanout *fanout);

/* Sends one batch of what is due. To be called in each iteration, when what came from Redis has
 * been appended. */
void fanout_flush(struct fanout *fanout);

/* Is something left to be sent? */
bool fanout_has_more(const struct fanout *fanout);

#endif
