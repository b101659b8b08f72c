/* redis_internal: what redis.c and redis_greet.c share. Nobody else includes it. */
#ifndef YUKIZURI_REDIS_INTERNAL_H
#define YUKIZURI_REDIS_INTERNAL_H

#include "pending.h"
#include "redis.h"

#include <stdarg.h>

enum redis_state { REDIS_WAITING, REDIS_CONNECTING, REDIS_GREETING, REDIS_READY };

struct redis {
    struct redis_options options;
    struct redis_callbacks callbacks;
    void *arg;
    char *client_name;
    enum redis_state state;
    struct bufferevent *stream;
    struct evbuffer *unsent; /* what was written in this turn of the loop */
    struct event *turn_end;
    struct redis_replies *replies;
    struct resolution *resolution; /* while the host's name is being looked up */
    struct event *timer;           /* retry, connect timeout, or the oldest command's deadline */
    struct pending pending;
    struct pending failed;  /* who is told at the loop's next turn that no answer will come */
    struct event *deferred; /* that turn */
    bool lost;              /* and on_lost is called in it */
    char why[200];
    unsigned attempts; /* since the way was last proven */
    int64_t heard_ms;  /* when something last came */
    char run_id[48];
};

/* --- redis.c --- */

/* Nothing comes or goes any more from here on; who waits is told at the loop's next turn, since
 * whoever calls this may be in the middle of something that those who are told would change. */
void redis_lose(struct redis *redis, const char *why);

/* Writes a command, in whatever state, and waits for its answer. */
void redis_write(struct redis *redis, const struct redis_words *words, redis_done done, void *arg);

/* Authenticated, database chosen. */
void redis_become_ready(struct redis *redis);

/* --- redis_greet.c --- */

/* AUTH, SELECT, INFO, CLIENT SETNAME, PING: the answer to the last one makes the connection ready.
 */
void redis_greet(struct redis *redis);

/* --- redis_words.c --- */

/* All words up to a NULL. */
void redis_words_list(struct redis_words *words, const char *first, va_list rest);

#endif
