/* pubsub: the channels that a gateway listens on, over the one connection that subscribes. Asks for
 * each channel by itself, again after a lost connection, and every second where Redis refuses it.
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
    void (*on_unsubscribed)(void *arg); /* the connection is lost */
    void (*on_published)(void *arg, const char *data, size_t len);
};

/* Both must outlive it. */
struct pubsub *pubsub_new(struct redis *subscriber, struct log *log);

/* The connection must have been stopped. NULL is fine. */
void pubsub_free(struct pubsub *pubsub);

/* Listens on a channel that is not listened on yet; `channel` and `handler` must live until
 * pubsub_remove. */
void pubsub_add(struct pubsub *pubsub, const char *channel, const struct pubsub_handler *handler,
                void *arg);

/* No callback after this. */
void pubsub_remove(struct pubsub *pubsub, const char *channel);

/* Why Redis does not let us listen on a channel: its words; NULL when it does, or has not said yet.
 * Valid until the next call. */
const char *pubsub_refused(const struct pubsub *pubsub, const char *channel);

/* --- Called by whoever owns the connection --- */

void pubsub_on_ready(struct pubsub *pubsub);
void pubsub_on_lost(struct pubsub *pubsub);
void pubsub_on_push(struct pubsub *pubsub, const struct redis_reply *message);

/* Once a second: asks again for what was refused, a bounded number of channels. */
void pubsub_tick(struct pubsub *pubsub);

#endif
