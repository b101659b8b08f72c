/* pipeline: the commands sent over one connection to Redis whose replies have not come. Replies
 * come in the order of the commands, so a ring is all it takes. Owns the ring; no I/O, no clock.
 * Callbacks may push. */
#ifndef YUKIZURI_REDIS_PIPELINE_H
#define YUKIZURI_REDIS_PIPELINE_H

#include "redis/connection.h"

#include <stdbool.h>
#include <stdint.h>

struct pipeline_command;

/* All zeroes is an empty one. */
struct pipeline {
    struct pipeline_command *ring;
    size_t size;                   /* a power of two */
    uint64_t first, waiting, next; /* numbers of commands: the oldest unanswered, the oldest whose
                                      deadline has not passed, the next to be pushed */
};

/* Frees what it owns; call pipeline_fail before. */
void pipeline_done(struct pipeline *pipeline);

/* One more was sent; `done` may be NULL. */
void pipeline_push(struct pipeline *pipeline, redis_done done, void *arg, int64_t deadline_ms);

/* To refuse the command that was pushed last is no fault. There must be one. */
void pipeline_mark_last_optional(struct pipeline *pipeline);

/* Is it so for the oldest, whose reply is the next to come? */
bool pipeline_is_optional(const struct pipeline *pipeline);

/* Appends all of `more`, which is empty then. */
void pipeline_move(struct pipeline *pipeline, struct pipeline *more);

/* An error that comes while the command that was pushed last is the oldest is no answer to it.
 * There must be one. */
void pipeline_mark_last_behind_error(struct pipeline *pipeline);
bool pipeline_is_behind_error(const struct pipeline *pipeline);

/* The reply to the oldest has come: calls its `done`, unless its deadline has passed. Does nothing
 * when there is none. */
void pipeline_answer(struct pipeline *pipeline, const struct redis_reply *reply);

/* Tells everybody who waits that no answer will come. */
void pipeline_fail(struct pipeline *pipeline);

/* Answers (with NULL) the commands whose deadline has passed; they stay in the ring, for
 * their late replies. Returns how many there were. When it is called more than a second late, this
 * process was held up and the replies may be there unread: then what is overdue has a second more.
 */
unsigned pipeline_expire(struct pipeline *pipeline, int64_t now_ms);

/* The next deadline; 0 when there is none. */
int64_t pipeline_deadline_ms(const struct pipeline *pipeline);

#endif
