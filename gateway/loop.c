#include "loop.h"

#include "base/clock.h"
#include "server_internal.h"
#include "websocket/connections.h"

#include <event2/event.h>
#include <time.h>

enum {
    ITERATION_US = 1000,
    ITERATIONS_AHEAD = 8, /* so that what is said now and then, in some three, never waits */
};

/* A leaky bucket: each iteration pays for a millisecond, and rests when it is so far ahead that the
 * credit is used up. What would be rested beyond a millisecond is forgiven. */
void loop_throttle(int64_t *paid_until_us)
{
    const int64_t credit_us = (int64_t)ITERATIONS_AHEAD * ITERATION_US;
    int64_t now_us = clock_monotonic_us();
    if (*paid_until_us < now_us)
        *paid_until_us = now_us;
    *paid_until_us += ITERATION_US;
    if (*paid_until_us > now_us + credit_us + ITERATION_US)
        *paid_until_us = now_us + credit_us + ITERATION_US;
    const struct timespec rest = {.tv_nsec = (*paid_until_us - now_us - credit_us) * 1000};
    if (rest.tv_nsec > 0)
        nanosleep(&rest, NULL);
}

static bool wait_for_events(struct event_base *base, bool busy)
{
    int flags = EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0);
    return event_base_loop(base, flags) == 0 && !event_base_got_break(base);
}

static void iterate(struct server *server)
{
    fanout_flush(server->fanout);
    poller_read(server->poller);
    broker_flush(server->broker);
    connections_flush(server->connections);
    broker_flush(server->broker);
    sessions_end_iteration(server->sessions);
    stalls_end_iteration(server->stalls);
}

/* Has the next iteration something to do already? */
static bool has_more(const struct server *server)
{
    return fanout_has_more(server->fanout) || poller_is_behind(server->poller) ||
           connections_have_more(server->connections);
}

void loop_run(struct server *server)
{
    int64_t paid_until_us = 0;
    bool busy = false;
    while (wait_for_events(server->base, busy)) {
        iterate(server);
        busy = has_more(server);
        if (!busy)
            loop_throttle(&paid_until_us);
    }
}
