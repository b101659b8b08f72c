#include "websocket/poller.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/stderr_line.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 16, READ_BUDGET_US = 1000 /* of an iteration */ };

struct poller {
    int epoll_fd;
    struct event *ready;
    struct metrics *metrics;
    bool has_ready; /* the event loop has reported the epoll set as readable */
    bool behind;
};

static int dispatch_ready(int fd)
{
    struct epoll_event found[EVENTS];
    int count = epoll_wait(fd, found, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct watch *watch = found[i].data.ptr;
        uint32_t what = found[i].events;
        unsigned ready = (what & EPOLLIN) != 0 ? POLLER_READ : 0;
        if ((what & EPOLLOUT) != 0)
            ready |= POLLER_WRITE;
        if ((what & (EPOLLERR | EPOLLHUP)) != 0) /* reading, or writing, tells what it is */
            ready |= POLLER_READ | POLLER_WRITE;
        if ((what & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0)
            ready |= POLLER_ENDED;
        watch->on_ready(watch, ready);
    }
    return count;
}

static void on_epoll_readable(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct poller *poller = arg;
    metrics_begin_iteration(poller->metrics);
    poller->has_ready = true;
}

void poller_read(struct poller *poller)
{
    if (!poller->has_ready)
        return;
    metrics_begin_iteration(poller->metrics);
    int64_t until_us = clock_monotonic_us() + READ_BUDGET_US;
    do
        poller->behind = dispatch_ready(poller->epoll_fd) == EVENTS;
    while (poller->behind && clock_monotonic_us() < until_us);
    poller->has_ready = poller->behind;
}

bool poller_is_behind(const struct poller *poller)
{
    return poller->behind;
}

struct poller *poller_new(struct event_base *base, struct metrics *metrics)
{
    struct poller *poller = memory_new(sizeof *poller);
    poller->metrics = metrics;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) {
        stderr_line_print("epoll_create1: %s", strerror(errno));
        abort(); /* at the start, and nothing works without it */
    }
    poller->ready =
        event_new(base, poller->epoll_fd, EV_READ | EV_PERSIST, on_epoll_readable, poller);
    event_add(poller->ready, NULL);
    return poller;
}

void poller_free(struct poller *poller)
{
    if (poller == NULL)
        return;
    event_free(poller->ready);
    close(poller->epoll_fd);
    free(poller);
}

static uint32_t events_of(unsigned wanted)
{
    return ((wanted & POLLER_READ) != 0 ? EPOLLIN | EPOLLRDHUP : 0u) |
           ((wanted & POLLER_WRITE) != 0 ? EPOLLOUT : 0u);
}

/* A socket that nothing is wanted of is taken out: a broken one would be reported for ever. */
int poller_watch(struct poller *poller, int fd, struct watch *watch, unsigned before,
                 unsigned wanted)
{
    struct epoll_event event = {.events = events_of(wanted), .data.ptr = watch};
    int operation = wanted == 0 ? EPOLL_CTL_DEL : before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    return before == wanted ? 0 : epoll_ctl(poller->epoll_fd, operation, fd, &event);
}
