/* loop: the order of one iteration of the event loop, in one place.
 *
 *     wait       for what is due: timers, newcomers, and what Redis has sent, which is taken here
 *     deliver    what was published, to members: one batch
 *     read       what members have sent, for a millisecond at most
 *     serve      HTTP clients, who are apart so that their floods delay no member: the same
 *     end        HTTP clients whose time is over: the same
 *     send       what they said to Redis, with all other commands
 *     write      bytes for one member alone; then connections that have ended are closed
 *     send       what followed from those ends
 *
 * Nothing but `wait` waits, and it does not when a step has left something to do.
 *
 * An iteration has a price of its own, whatever it carries: waking up, asking the kernel what is
 * ready, a call to Redis and its answer. So when iterations come fast, the loop is throttled: it
 * sleeps after one that has left nothing to do, and what arrives meanwhile shares the next.
 * (Network cards moderate their interrupts in the same way.) When there is little to do, and while
 * something is still to be sent, it does not sleep. */
#ifndef YUKIZURI_LOOP_H
#define YUKIZURI_LOOP_H

#include <stdint.h>

struct server;

/* Runs the loop of the server until event_base_loopbreak (not loopexit), or until it has no more
 * events. */
void loop_run(struct server *server);

/* Sleeps after an iteration that has left nothing to do, so that there are a thousand of these in a
 * second, in bursts of at most eight. A signal ends a sleep. The caller keeps `empty_at_us` from
 * call to call, 0 at first. */
void loop_throttle(int64_t *empty_at_us);

#endif
