/* outbox: what members say, on its way to Redis. All that is said to a room in one turn of the loop
 * goes out in one call of publish.lua, so that a busy room costs Redis a fraction of a call for
 * each message; at rest a message is a call of its own and waits for nothing.
 *
 * Owns what it was given until it is sent, and the callbacks until they are answered. */
#ifndef YUKIZURI_BROKER_PUBLISH_BATCH_H
#define YUKIZURI_BROKER_PUBLISH_BATCH_H

#include "broker/broker.h"

struct event_base;
struct outbox;

struct outbox *outbox_new(struct event_base *base);

/* Tells everybody who still waits in it, from within, that no answer will come. NULL is fine. */
void outbox_stop(struct outbox *outbox);

/* It must have been stopped. NULL is fine. */
void outbox_free(struct outbox *outbox);

/* Takes a copy of `say`. `done` is called once, with what Redis answered to this one: see bus_say.
 * The feed must live until then. */
void outbox_add(struct outbox *outbox, struct feed *feed, const struct bus_say *say,
                redis_done done, void *arg);

/* Sends what has gathered, now: something else follows that must not overtake it. Without a
 * connection, who waits for an answer is told at the loop's next turn that none will come. */
void outbox_flush(struct outbox *outbox);

#endif
