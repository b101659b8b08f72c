/* limiter: calls of scripts that can wait: who comes in, who leaves, who is still here; and the
 * lists of rooms. At most so many are under way to Redis, the others wait in this process
 * (docs/decisions/0011-bursts.md). Of a cluster, each node has a lane of its own: nobody waits for
 * a node that is slow or away but those whose room is there.
 *
 * Owns the calls that wait; not the connection. Calls of one lane are run in order. What is sent
 * past it may overtake them. */
#ifndef YUKIZURI_REDIS_LIMITER_H
#define YUKIZURI_REDIS_LIMITER_H

#include "redis/script.h"

struct limiter;

/* With so many permits: at most as many calls are under way. The connection must outlive it. */
struct limiter *limiter_new(struct redis *redis, unsigned permits);

/* The connection has been stopped: all that wait get their callback without a reply, from within,
 * or are made and find no connection. */
void limiter_stop(struct limiter *limiter);

/* It must have been stopped. NULL is fine. */
void limiter_free(struct limiter *limiter);

/* As script_run: 0, or -1 when there is no connection and `done` is never called. The deadline
 * counts from when it is sent; when one passes, those who have waited as long get no answer either,
 * and are never sent. It takes so many permits until it is answered; it may overdraw. */
int limiter_run(struct limiter *limiter, struct script_call *call, unsigned permits,
                redis_done done, void *arg);

/* Enqueues a call about `key` that is made only when it may be sent, so that it is for all who have
 * asked until then: `make` is called once, from limiter_flush at the earliest, with a connection or
 * without, and there limiter_run sends at once. -1 when there is no connection and `make` is never
 * called.
 */
int limiter_enqueue(struct limiter *limiter, const char *key, void (*make)(void *arg), void *arg);

/* From the event loop: makes and sends as many as may be under way. Without a connection those who
 * wait are told at the loop's next iteration that no answer will come. */
void limiter_flush(struct limiter *limiter);

/* Does somebody wait to be sent, in any lane whose node answers? */
bool limiter_is_congested(const struct limiter *limiter);

#endif
