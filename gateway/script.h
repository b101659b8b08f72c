/* script: the Lua scripts that Redis runs for us: loaded with SCRIPT LOAD when a connection becomes
 * ready, called by their hash, loaded again and repeated when Redis answers NOSCRIPT. */
#ifndef YUKIZURI_SCRIPT_H
#define YUKIZURI_SCRIPT_H

#include "redis.h"

#include <stddef.h>

/* Generated from gateway/scripts/. */
struct script_source {
    const char *name;
    const char *text;
    size_t len;
};
extern const struct script_source script_sources[];
extern const size_t script_sources_count;

/* Loads all scripts into this connection's Redis. */
void script_load_all(struct redis *redis);

/* What a call is told: its keys, then its arguments. */
struct script_call {
    const char *name;         /* "publish": a script that does not exist is our own mistake */
    size_t key_count;         /* so many of the words are keys */
    struct redis_words words; /* keys and arguments; copied when it is sent */
};

/* Runs a script. As redis_send: 0, or -1 when there is no connection and `done` is never called. */
int script_run(struct redis *redis, const struct script_call *call, redis_done done, void *arg);

#endif
