/* redis_internal: what redis/client.c and redis/greeting.c share. Nobody else includes it. */
#ifndef YUKIZURI_REDIS_INTERNAL_H
#define YUKIZURI_REDIS_INTERNAL_H

#include "redis/client.h"
#include "redis/pipeline.h"

#include <stdarg.h>

enum { REDIS_WHY_BYTES = 256 };

struct resolver_answer;

enum redis_state { REDIS_WAITING, REDIS_CONNECTING, REDIS_GREETING, REDIS_READY };

struct redis {
    struct redis_options options;
    struct redis_callbacks callbacks;
    void *arg;
    char *client_name;
    enum redis_state state;
    struct bufferevent *stream;
    struct evbuffer *unsent; /* until redis_flush */
    struct redis_replies *replies;
    struct resolution *resolution; /* while the host's name is being looked up */
    struct event *timer;           /* retry, connect timeout, or the oldest command's deadline */
    struct pending pending;
    struct pending failed;  /* who is told at the loop's next iteration that no answer will come */
    struct event *deferred; /* that iteration */
    bool lost;              /* and on_lost is called in it */
    char why[REDIS_WHY_BYTES];
    uint8_t first[2];    /* what came first over this connection, */
    ptrdiff_t first_len; /* so much of it; 0: nothing came yet */
    unsigned attempts;   /* since the way was last proven */
    int64_t last_rx_ms;  /* when something last came */
    char run_id[48];
    char version[24]; /* of Redis; "" when its user may not ask */
};

/* --- redis/client.c --- */

/* Nothing comes or goes any more from here on; who waits is told at the loop's next iteration,
 * since whoever calls this may be in the middle of something that those who are told would change.
 */
void redis_lose(struct redis *redis, const char *why);

/* Writes a command, in whatever state, and waits for its answer; the second, of all words up to a
 * NULL. */
void redis_write(struct redis *redis, const struct redis_words *words, redis_done done, void *arg);
void redis_write_list(struct redis *redis, redis_done done, void *arg, const char *first,
                      va_list rest);

/* Authenticated, database chosen. */
void redis_become_ready(struct redis *redis);

/* --- redis/greeting.c --- */

/* AUTH, SELECT, INFO, CLIENT SETNAME, PING: the answer to the last one makes the connection ready.
 */
void redis_greet(struct redis *redis);

/* --- redis/loss_reason.c: sentences for redis_lose --- */

void redis_why_errno(const struct redis *redis, int why, char out[REDIS_WHY_BYTES]);
void redis_why_unresolved(const struct redis *redis, const struct resolver_answer *answer,
                          char out[REDIS_WHY_BYTES]);

/* Becoming ready has taken too long. */
const char *redis_why_late(const struct redis *redis);

/* To be told of the first bytes, before they are taken out of the stream. */
void redis_why_note_first(struct redis *redis);

/* What came is nothing that Redis sends, or too much of it; `error` of redis_replies_next. */
const char *redis_why_noise(const struct redis *redis, int error);

/* The stream has ended, with these `events` of libevent's. */
void redis_why_ended(const struct redis *redis, short events, char out[REDIS_WHY_BYTES]);

/* --- redis/resp_encode.c --- */

enum { REDIS_HEAD_BYTES = 24 }; /* '*' or '$', 20 digits, CR LF */

/* What a command of so many words begins with. Returns its length. */
size_t redis_words_head(size_t count, char out[REDIS_HEAD_BYTES]);

#endif
