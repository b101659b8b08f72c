#include "session/disconnect.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/grace_clock.h"
#include "session/leave.h"
#include "session/session.h"

#include <event2/event.h>
#include <stdlib.h>

enum { MOST_LAYING_US = 2000 /* in 10 ms */ };

static void count_detached(struct sessions *all, int change)
{
    all->options.metrics->detached += (uint64_t)change;
}

void session_detach(struct session *session)
{
    struct sessions *all = session->all;
    free(session->joining);
    session->joining = NULL;
    list_remove(&session->in_queue);
    if (all->options.config->leave_grace == 0) {
        session_leave(session, false);
        return;
    }
    session->state = SESSION_DETACHED;
    session->until_ms = session_grace_clock(all) + (int64_t)all->options.config->leave_grace * 1000;
    list_add(&all->detached, &session->in_queue);
    count_detached(all, 1);
}

/* A burst that was cut off at once is laid by and by: those who are in want their turns. */
void session_lay_ghosts(struct sessions *all)
{
    static const struct timeval pause = {0, 10000};
    int64_t until_us = clock_monotonic_us() + MOST_LAYING_US;
    while (!list_is_empty(&all->detached)) {
        struct session *detached = LIST_ITEM(all->detached.next, struct session, in_queue);
        if (detached->until_ms > session_grace_clock(all) ||
            !broker_is_healthy(all->options.broker))
            return;
        if (clock_monotonic_us() >= until_us) {
            evtimer_add(all->more_expired, &pause);
            return;
        }
        count_detached(all, -1);
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
    session_lay_ghosts(all);
}

void session_displace(struct session *session)
{
    if (session->state == SESSION_DETACHED)
        count_detached(session->all, -1);
    struct connection *connection = session->connection;
    session_end(session);
    if (connection != NULL)
        connection_close(connection, 4409, "resumed elsewhere");
    session_free_if_over(session);
}
