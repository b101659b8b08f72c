/* loop: the order of one iteration of the event loop, in one place.
 *
 *     wait       for what is due: timers, newcomers, and what Redis has sent, which is taken here
 *     deliver    what was published, to members: one batch
 *     read       what clients have sent, for a millisecond at most
 *     send       what they said to Redis, with whatever else was asked of it
 *     write      bytes for one member alone; then connections that have ended are closed
 *     send       what followed from those ends
 *
 * Nothing but `wait` waits, and it does not when a step has left something to do.
 *
 * An iteration has a price of its own, whatever it carries: waking up, asking the kernel what is
 * ready, a call to Redis and its answer. So when iterations come fast, the loop is throttled: it
 * rests after one that has nothing left to do, and what arrives meanwhile shares the next. (Network
 * cards moderate their interrupts in the same way.) At rest, and while something is still to be
 * sent, nothing waits. */
#ifndef YUKIZURI_LOOP_H
#define YUKIZURI_LOOP_H

#include <stdint.h>

struct server;

/* Runs the loop of the server until event_base_loopbreak (not loopexit), or until it has no more
 * events. */
void loop_run(struct server *server);

/* Rests after an iteration that has left nothing to do: of these a thousand are made in a second,
 * and eight more at once. A signal ends a rest. `paid_until_us` is 0 at the beginning, and for
 * nobody else. */
void loop_throttle(int64_t *paid_until_us);

#endif
