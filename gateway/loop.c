#include "loop.h"

#include "base/clock.h"
#include "base/pacer.h"

#include <event2/event.h>
#include <time.h>

enum {
    ITERATION_US = 1000,
    ITERATIONS_AHEAD = 8, /* so that what is said now and then, in some three, never waits */
};

/* Shorter when a signal comes: its event is ready then. */
static void rest(int64_t us)
{
    const struct timespec span = {.tv_nsec = us * 1000};
    if (us > 0)
        nanosleep(&span, NULL);
}

static bool wait_for_events(struct event_base *base, bool busy)
{
    int flags = EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0);
    return event_base_loop(base, flags) == 0 && !event_base_got_break(base);
}

static void iterate(const struct loop_steps *steps, void *arg)
{
    steps->deliver(arg);
    steps->read(arg);
    steps->send(arg);
    steps->write(arg);
    steps->send(arg);
    steps->end(arg);
}

void loop_run(struct event_base *base, const struct loop_steps *steps, void *arg)
{
    static const struct pace_limit limit = {
        .share = 1, .longest_us = ITERATION_US, .credit_us = ITERATIONS_AHEAD * ITERATION_US};
    struct pace pace = {0};
    bool busy = false;
    while (wait_for_events(base, busy)) {
        iterate(steps, arg);
        busy = steps->has_more(arg);
        if (!busy)
            rest(pace_spend(&pace, &limit, clock_monotonic_us(), ITERATION_US));
    }
}
