#include "session/disconnect.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/grace_clock.h"
#include "session/leave.h"
#include "session/session.h"

#include <event2/event.h>
#include <stdlib.h>

enum { MOST_EXPIRING_US = 2000 /* in 10 ms */ };

void session_detach(struct session *session)
{
    struct sessions *all = session->all;
    session_end_joining(session);
    if (all->options.config->leave_grace == 0) {
        session_leave(session, false);
        return;
    }
    session->state = SESSION_DETACHED;
    session->until_ms = session_grace_clock(all) + (int64_t)all->options.config->leave_grace * 1000;
    list_add(&all->detached, &session->in_queue);
    all->options.metrics->detached++;
}

/* When many were cut off at once they leave by and by: those who are in must not wait for that. */
void session_expire_detached(struct sessions *all)
{
    static const struct timeval pause = {0, 10000};
    int64_t until_us = clock_monotonic_us() + MOST_EXPIRING_US;
    while (!list_is_empty(&all->detached)) {
        struct session *detached = LIST_ITEM(all->detached.next, struct session, in_queue);
        if (detached->until_ms > session_grace_clock(all) ||
            !broker_is_healthy(all->options.broker))
            return;
        if (clock_monotonic_us() >= until_us) {
            evtimer_add(all->more_expired, &pause);
            return;
        }
        all->options.metrics->detached--;
        session_leave(detached, false);
        session_free_if_over(detached);
    }
}

void session_on_more_expired(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct sessions *all = arg;
    metrics_begin_iteration(all->options.metrics);
    session_expire_detached(all);
}

void session_displace(struct session *session)
{
    if (session->state == SESSION_DETACHED)
        session->all->options.metrics->detached--;
    struct connection *connection = session->connection;
    session_end(session);
    if (connection != NULL)
        connection_close(connection, 4409, "resumed elsewhere");
    session_free_if_over(session);
}
