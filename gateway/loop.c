#include "loop.h"
#include "base/clock.h"
#include "base/pacer.h"

#include <event2/event.h>
#include <time.h>

enum {
    TURN_US = 1000,
    TURNS_AHEAD = 8, /* so that what is said now and then, in some three turns, never waits */
};

/* Shorter when a signal comes: its event is ready then. */
static void rest(int64_t us)
{
    const struct timespec span = {.tv_nsec = us * 1000};
    if (us > 0)
        nanosleep(&span, NULL);
}

static bool go_round(struct event_base *base)
{
    return event_base_loop(base, EVLOOP_ONCE) == 0 && !event_base_got_break(base);
}

void turns_run(struct event_base *base, const struct turns_callbacks *callbacks, void *arg)
{
    static const struct pace_limit limit = {
        .share = 1, .longest_us = TURN_US, .credit_us = TURNS_AHEAD * TURN_US};
    struct pace pace = {0};
    while (go_round(base)) {
        callbacks->on_end(arg);
        if (!callbacks->has_more(arg))
            rest(pace_spend(&pace, &limit, clock_monotonic_us(), TURN_US));
    }
}
