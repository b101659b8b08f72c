/* pubsub: the channels that a gateway listens on, over the connection that subscribes; in a cluster
 * over the one to the node that has the channel's slot: what that node publishes then comes
 * straight from it. Asks for each channel by itself, again after a lost connection, where the
 * channel is at another node, and every second where Redis refuses it. Sharded channels
 * (SSUBSCRIBE) where they are wanted.
 *
 * Owns neither the connection nor what the channels carry. */
#ifndef YUKIZURI_BROKER_PUBSUB_H
#define YUKIZURI_BROKER_PUBSUB_H

#include "redis/client.h"
#include "telemetry/log.h"

struct pubsub;

/* From the event loop only; each may be NULL. */
struct pubsub_handler {
    void (*on_subscribed)(void *arg);   /* what is published from here on comes */
    void (*on_unsubscribed)(void *arg); /* the connection is lost, or is not the one to listen on */
    void (*on_published)(void *arg, const char *data, size_t len);
    bool of_room; /* the channel is sharded, where those of rooms are */
};

/* Both must outlive it. `sharded`: the channels of rooms are. */
struct pubsub *pubsub_new(struct redis *subscriber, bool sharded, struct log *log);

/* The connection must have been stopped. NULL is fine. */
void pubsub_free(struct pubsub *pubsub);

/* Listens on a channel that is not listened on yet; `channel` and `handler` must live until
 * pubsub_remove. */
void pubsub_add(struct pubsub *pubsub, const char *channel, const struct pubsub_handler *handler,
                void *arg);

/* The same of a channel that is listened on where `key` is, which lives as long. */
void pubsub_add_beside(struct pubsub *pubsub, const char *channel, const char *key,
                       const struct pubsub_handler *handler, void *arg);

/* No callback after this. */
void pubsub_remove(struct pubsub *pubsub, const char *channel);

/* Why Redis does not let us listen on a channel: its words; NULL when it does, or has not said yet.
 * Valid until the next call. */
const char *pubsub_refused(const struct pubsub *pubsub, const char *channel);

/* --- Called by whoever owns the connection --- */

/* It is ready, or lost; or channels are at other nodes. */
void pubsub_follow(struct pubsub *pubsub);
void pubsub_on_push(struct pubsub *pubsub, const struct redis_reply *message);

/* Once a second: asks again for what was refused, a bounded number of channels. */
void pubsub_tick(struct pubsub *pubsub);

#endif
