/* script: the Lua scripts that Redis runs for us: loaded with SCRIPT LOAD when a connection becomes
 * ready, called by their hash, loaded again and repeated when Redis answers NOSCRIPT. */
#ifndef YUKIZURI_REDIS_SCRIPT_H
#define YUKIZURI_REDIS_SCRIPT_H

#include "base/text.h"
#include "redis/client.h"

#include <stddef.h>

/* Generated from gateway/scripts/. */
struct script_source {
    const char *name;
    const char *text;
    size_t len;
};
extern const struct script_source script_sources[];
extern const size_t script_sources_count;

/* Before any other function of these. It is also what makes OpenSSL set itself up, which takes a
 * few milliseconds and two megabytes: at the start, not when the first person comes. */
void script_hash_all(void);

/* Loads all scripts, for redis_options.prepare: calls stay in order only where none of them has to
 * be repeated. */
void script_load_all(struct redis_connection *connection);

/* A call: script_begin, then its keys and its arguments, in order, each copied; then script_run or
 * script_prepare, which take all of it over. */
struct script_call {
    const struct script_source *source;
    struct redis_words keys, words;
};

/* `name` without ".lua": a script that does not exist is our own mistake. */
void script_begin(struct script_call *call, const char *name);

void script_add_key(struct script_call *call, const char *key, size_t len);
void script_add(struct script_call *call, const char *argument);
void script_add_number(struct script_call *call, uint64_t number);

/* Runs it. As redis_send: 0, or -1 when there is no connection and `done` is never called. */
int script_run(struct redis *redis, struct script_call *call, redis_done done, void *arg);

/* The same in two steps, for a call that waits. script_send runs it and takes it over, whatever it
 * returns; script_drop frees one that is not to be sent. */
struct script_run;
struct script_run *script_prepare(struct redis *redis, struct script_call *call);
int script_send(struct script_run *run, redis_done done, void *arg);
void script_drop(struct script_run *run);

#endif
