/* broker: what a gateway shares with the others. Owns the two Redis connections (RESP2 subscribes
 * and commands apart; a third one with the setting `durability`), and the probe that shows whether
 * messages really flow. Knows nothing of members or sockets. */
#ifndef YUKIZURI_BROKER_BROKER_H
#define YUKIZURI_BROKER_BROKER_H

#include "broker/commands.h"
#include "broker/pubsub.h"
#include "config/config.h"
#include "redis/client.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct broker;

struct broker_callbacks {
    void (*on_up)(void *arg); /* both connections are ready */
    void (*on_control_message)(void *arg, const char *data,
                               size_t len); /* on this gateway's own channel */
};

struct broker_options {
    struct event_base *base;
    const struct config *config;
    const struct redis_url *url; /* where Redis really is (the embedded one has a socket) */
    struct metrics *metrics;
    struct log *log;
};

/* NULL, and a sentence in `error`, when the encryption that is wanted cannot be had. */
struct broker *broker_new(const struct broker_options *options,
                          const struct broker_callbacks *callbacks, void *arg, char *error,
                          size_t error_size);

/* Closes the connections: calls under way fail, from within, and there will be no more. NULL is
 * fine. */
void broker_stop(struct broker *broker);

/* Nobody may listen on a channel any more. NULL is fine. */
void broker_free(struct broker *broker);

/* Twice in each iteration of the loop: what members have said since goes to Redis, and whatever
 * else was asked of it; calls that wait in the limiter are made from within. Without a connection,
 * who waits for an answer is told so in the next iteration. */
void broker_flush(struct broker *broker);

/* To be called once a second. */
void broker_tick(struct broker *broker);

/* Reads the redis-password-file again, if there is one: the next connection to Redis has what is in
 * it. The log says when it is another password, or cannot be read. */
void broker_reread_password(struct broker *broker);

/* NULL while members can join and talk: the last probe came back, in the last 10 s, and replicas
 * can be asked, where they are to be. Else a sentence. */
const char *broker_why_not_ready(const struct broker *broker);

/* Redis answers, and refuses what people need: a sentence. NULL when it does not refuse it, or is
 * not there. Valid until the next call of the loop. */
const char *broker_why_refused(const struct broker *broker);

/* A random word that tells this process from an earlier one under the same gateway-id. */
const char *broker_incarnation(const struct broker *broker);

/* Does Redis answer at the moment? False within 3 s of its falling silent. */
bool broker_is_healthy(const struct broker *broker);

/* When Redis last showed that messages flow (monotonic, ms); 0: never. */
int64_t broker_last_ok_ms(const struct broker *broker);

/* Can commands be sent? */
bool broker_is_up(const struct broker *broker);

/* What calls are made with, and the channels that are listened on. As long as the broker. */
const struct commands *broker_commands(const struct broker *broker);
struct pubsub *broker_pubsub(const struct broker *broker);

#endif
