/* publish_batch: what members say, on its way to Redis. All that is said to a room in one iteration
 * of the loop goes out in one call of publish.lua, so that a busy room costs Redis a fraction of a
 * call for each message; at rest a message is a call of its own and waits for nothing.
 *
 * Owns what it was given until it is sent, and the callbacks until they are answered. */
#ifndef YUKIZURI_BROKER_PUBLISH_BATCH_H
#define YUKIZURI_BROKER_PUBLISH_BATCH_H

#include "broker/durability.h"
#include "broker/topic.h"
#include "redis/client.h"

#include <stddef.h>

struct publish_batch;

/* All must outlive it. `durability` is what Redis' answers wait for; NULL: nothing. */
struct publish_batch *publish_batch_new(struct redis *redis, struct durability *durability,
                                        const struct config *config);

struct publish_batch_say {
    const char *id;
    const char *body; /* the event's JSON from "from" on */
    size_t body_len;
    const char *nonce; /* or NULL */
    const char *epoch; /* refuse it in any other epoch; or NULL */
};

/* Tells everybody whose saying was not sent, from within, that no answer will come. NULL is fine.
 */
void publish_batch_stop(struct publish_batch *publish);

/* It must have been stopped. NULL is fine. */
void publish_batch_free(struct publish_batch *publish);

/* Takes a copy of `say`. `done` is called once, with what Redis answered to this one: see
 * commands_say. The topic must live until then. */
void publish_batch_add(struct publish_batch *publish, struct topic *topic,
                       const struct publish_batch_say *say, redis_done done, void *arg);

/* Sends what was added, now: something else follows that must not overtake it. Without a
 * connection, who waits for an answer is told at the loop's next iteration that none will come. */
void publish_batch_flush(struct publish_batch *publish);

#endif
