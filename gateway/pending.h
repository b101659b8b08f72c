/* pending: the commands sent over one connection to Redis whose replies have not come. Replies come
 * in the order of the commands, so a queue is all it takes. Owns its entries; no I/O, no clock. */
#ifndef YUKIZURI_PENDING_H
#define YUKIZURI_PENDING_H

#include "redis.h"

#include <stdint.h>

struct pending_command;

struct pending {
    struct pending_command *first, *last;
    struct pending_command *first_waiting; /* the oldest with a deadline still to come */
};

/* One more was sent; `done` may be NULL. */
void pending_push(struct pending *pending, redis_done done, void *arg, int64_t deadline_ms);

/* The reply to the oldest has come: calls its `done`, unless its deadline has passed. Does nothing
 * when there is none. */
void pending_answer(struct pending *pending, const struct redisReply *reply);

/* Tells everybody who waits that no answer will come. */
void pending_fail(struct pending *pending);

/* Answers (with NULL) the commands whose deadline has passed; their places stay, for the late
 * replies. Returns how many there were. */
unsigned pending_expire(struct pending *pending, int64_t now_ms);

/* The next deadline; 0 when there is none. */
int64_t pending_deadline_ms(const struct pending *pending);

#endif
