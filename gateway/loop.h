/* turns: the event loop, which makes no more turns than pay.
 *
 * A turn has a price of its own, whatever it carries: waking up, asking the kernel what is ready,
 * a call to Redis and its answer. So when turns come fast, it rests after one that has nothing left
 * to do, and what arrives meanwhile shares the next. (Network cards moderate their interrupts in
 * the same way.) At rest, and while something is still to be sent, nothing waits. */
#ifndef YUKIZURI_LOOP_H
#define YUKIZURI_LOOP_H

#include <stdbool.h>

struct event_base;

struct turns_callbacks {
    void (*on_end)(void *arg); /* a turn is over */
    /* Then: has the next one work already? It may do nothing else. */
    bool (*has_more)(void *arg);
};

/* Runs the loop of `base` until event_base_loopbreak (not loopexit), or until it has no more
 * events. Of turns that leave nothing to do, a thousand are made in a second, and eight more at
 * once. A signal ends a rest. */
void turns_run(struct event_base *base, const struct turns_callbacks *callbacks, void *arg);

#endif
