#include "loop.h"

#include "base/clock.h"
#include "server_internal.h"
#include "session/delivery_time.h"
#include "websocket/connections.h"

#include <event2/event.h>
#include <time.h>

enum {
    ITERATION_US = 1000,
    BURST_US = 8 * ITERATION_US, /* an occasional message takes some three: it never waits */
};

/* A leaky bucket: each iteration adds a millisecond to it, and what is above the burst is slept
 * off, never more than a millisecond. */
void loop_throttle(int64_t *empty_at_us)
{
    int64_t now_us = clock_monotonic_us();
    if (*empty_at_us < now_us)
        *empty_at_us = now_us;
    *empty_at_us += ITERATION_US;
    if (*empty_at_us > now_us + BURST_US + ITERATION_US)
        *empty_at_us = now_us + BURST_US + ITERATION_US;
    const struct timespec delay = {.tv_nsec = (*empty_at_us - now_us - BURST_US) * 1000};
    if (delay.tv_nsec > 0)
        nanosleep(&delay, NULL);
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
    poller_read(server->http_poller);
    http_server_enforce(server->http);
    broker_flush(server->broker);
    connections_flush(server->connections);
    broker_flush(server->broker);
    sessions_end_iteration(server->sessions);
    stalls_end_iteration(server->stalls);
}

static bool has_pending_work(const struct server *server)
{
    return fanout_has_more(server->fanout) || poller_is_behind(server->poller) ||
           poller_is_behind(server->http_poller) || http_server_is_behind(server->http) ||
           connections_have_more(server->connections);
}

void loop_run(struct server *server)
{
    int64_t empty_at_us = 0;
    bool busy = false;
    while (wait_for_events(server->base, busy)) {
        iterate(server);
        busy = has_pending_work(server);
        if (!busy)
            loop_throttle(&empty_at_us);
    }
}
