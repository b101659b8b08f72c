/* sentinels: the connections of a gateway follow the master that Redis Sentinels name: what its
 * address is, when they move to another one, and what the log says of it. Without Sentinels in the
 * settings it is NULL, and each function does nothing with that.
 *
 * Owns none of the connections. */
#ifndef YUKIZURI_BROKER_SENTINELS_H
#define YUKIZURI_BROKER_SENTINELS_H

#include "broker/durability.h"
#include "config/config.h"
#include "redis/client.h"
#include "telemetry/log.h"

struct sentinels;

/* All must outlive it. */
struct sentinels_options {
    struct event_base *base;
    const struct config *config;
    struct redis_url *url; /* of all connections; it becomes that of the master */
    struct redis_tls *tls;
    struct redis *commands, *subscriber;
    struct durability *durability; /* or NULL */
    struct metrics *metrics;
    struct log *log;
};

/* NULL when the settings name no Sentinels. */
struct sentinels *sentinels_new(const struct sentinels_options *options);

/* Before the connections. */
void sentinels_free(struct sentinels *sentinels);

/* Both connections are ready: the master is there. */
void sentinels_on_ready(struct sentinels *sentinels);

/* A connection was lost: the Sentinels are asked. Returns whether that is news: it is none when the
 * connections move because the Sentinels have named another master. */
bool sentinels_on_lost(struct sentinels *sentinels, const char *why);

/* Why Redis is not connected, if no connection has failed: a sentence. Valid until the next call of
 * the loop. */
const char *sentinels_why_lost(const struct sentinels *sentinels);

/* Reads the sentinel-password-file again. */
void sentinels_reread_password(struct sentinels *sentinels);

#endif
