/* durability: what members said is acknowledged when a replica of Redis has it too (the setting
 * `durability`). Redis' answer to what was said is kept here until then. A replica is asked for
 * with WAIT over a connection of its own, as WAIT blocks that: behind a tiny write, which is behind
 * everything that was answered before, so that one WAIT is for all of it; what is answered
 * meanwhile collects for the next one. Answers are told in the order in which they came.
 *
 * WAIT has a meaning for what was said only if both went to the same Redis, and to the same history
 * of it: a Redis that was a replica in between may have lost what it had. The first is known by its
 * run_id; for the second, its history is read after each WAIT, and has to be the one that was known
 * here before the saying was sent.
 *
 * What was said is published before: people see it, whatever becomes of its acknowledgement. */
#ifndef YUKIZURI_BROKER_DURABILITY_H
#define YUKIZURI_BROKER_DURABILITY_H

#include "base/list.h"
#include "redis/client.h"
#include "telemetry/log.h"

#include <stddef.h>
#include <stdint.h>

struct durability;

enum {
    /* For a replica's confirmation: a member hears of it, whichever it is, within about two of
     * them. Far below REDIS_DEADLINE_MS, after which nobody knows what WAIT would have answered. */
    DURABILITY_WAIT_MS = 1000,
    DURABILITY_MOST_SAYS = 65536, /* that wait here; further ones are not confirmed */
};

struct durability_options {
    struct redis *commands;      /* what was said goes over it; must outlive this */
    struct redis_options server; /* of its own connection to the same Redis, see redis_new */
    const char *key;             /* it writes to it; copied */
    void (*on_error)(void *arg, const struct redis_error *error); /* as redis_callbacks has it */
    void *arg;
    struct log *log;
};

struct durability *durability_new(const struct durability_options *options);

/* Tells everybody who still waits, from within, that nothing is known; closes the connection.
 * `commands` must have been stopped. NULL is fine here, as it is below but for durability_await. */
void durability_stop(struct durability *durability);

/* Stops and frees it. */
void durability_free(struct durability *durability);

/* What waits. It lives in whatever it is about, from durability_begin until it was told. */
struct durability_wait {
    struct link link;
    redis_done done;
    void *arg;
    size_t says;
    uint64_t history; /* that was known when it was sent; 0: none */
    struct redis_reply *reply;
    bool confirm; /* else nothing that a replica could have: it waits for those before it alone */
};

/* To be called when it is sent to Redis. */
void durability_begin(const struct durability *durability, struct durability_wait *wait);

/* Redis has answered: done(arg, reply) is called, with a copy, when a replica has it; with NULL
 * when it is not known whether one has. An error, or no reply, is told as it is. `wait` has
 * `done`, `arg` and `says`. May call back at once; never from within durability_flush. */
void durability_await(struct durability *durability, struct durability_wait *wait,
                      const struct redis_reply *reply);

/* To be called at the end of an iteration of the loop: asks for what was answered in it. */
void durability_flush(struct durability *durability);

/* To be called once a second: asks again what Redis did not tell. */
void durability_tick(struct durability *durability);

/* As redis_reconnect, and as redis_move. */
void durability_reconnect(struct durability *durability, const char *why);
void durability_move(struct durability *durability, const char *why);

/* NULL while replicas can be asked; whether one confirms is another question. Else a sentence,
 * valid until the next call of the loop. */
const char *durability_why_not_ready(const struct durability *durability);

#endif
