/* loss_reason: why there is no connection to Redis, a sentence for redis_connection_lose: what was
 * tried, what came of it, and what to do. Part of `redis`. */
#ifndef YUKIZURI_REDIS_LOSS_REASON_H
#define YUKIZURI_REDIS_LOSS_REASON_H

enum { LOSS_REASON_BYTES = 256 };

struct redis_connection;
struct resolver_answer;

/* A system call has failed. */
void loss_reason_errno(const struct redis_connection *redis, int error,
                       char out[LOSS_REASON_BYTES]);

void loss_reason_unresolved(const struct redis_connection *redis,
                            const struct resolver_answer *answer, char out[LOSS_REASON_BYTES]);

/* Becoming ready has taken too long. The sentence is static. */
const char *loss_reason_timeout(const struct redis_connection *redis);

/* To be called before what has come is taken out of the stream: remembers the first bytes. */
void loss_reason_note_first(struct redis_connection *redis);

/* What came is nothing that Redis sends, or too much of it; `error` of redis_replies_next. The
 * sentence is static. */
const char *loss_reason_protocol(const struct redis_connection *redis, int error);

/* The stream has ended, with these `events` of libevent's. */
void loss_reason_closed(const struct redis_connection *redis, short events,
                        char out[LOSS_REASON_BYTES]);

#endif
