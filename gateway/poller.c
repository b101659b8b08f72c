#include "poller.h"

#include "clock.h"
#include "memory.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    EVENTS = 256,           /* that the kernel tells at once */
    MOST_NEWCOMERS = 16,    /* served in a turn: those who are in are not to wait for a crowd */
    MOST_READING_US = 1000, /* of a turn */
};

struct poller {
    int epoll_fd;
    struct event *ready;
    bool behind;
};

static unsigned ready_of(uint32_t events)
{
    unsigned ready = (events & EPOLLIN) != 0 ? POLLER_READ : 0;
    if ((events & EPOLLOUT) != 0)
        ready |= POLLER_WRITE;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) /* reading, or writing, tells what it is */
        ready |= POLLER_READ | POLLER_WRITE;
    return ready;
}

/* One turn of the loop. Who is ready and was not served is told again in the next one, behind all
 * the others: the kernel's list goes round. So when somebody was put off it is not asked again. */
static void on_ready(evutil_socket_t fd, short events, void *arg)
{
    (void)events;
    struct poller *poller = arg;
    struct epoll_event found[EVENTS];
    int64_t until_us = clock_monotonic_us() + MOST_READING_US;
    int newcomers = 0;
    int count;
    bool late = false;
    do {
        count = epoll_wait(fd, found, EVENTS, 0);
        for (int i = 0; i < count && !late; i++) {
            struct watch *watch = found[i].data.ptr;
            unsigned crowded = newcomers >= MOST_NEWCOMERS ? POLLER_CROWDED : 0;
            newcomers += watch->on_ready(watch, ready_of(found[i].events) | crowded);
            late = clock_monotonic_us() >= until_us;
        }
    } while (count == EVENTS && newcomers <= MOST_NEWCOMERS && !late);
    poller->behind = late || newcomers > MOST_NEWCOMERS;
}

bool poller_is_behind(const struct poller *poller)
{
    return poller->behind;
}

struct poller *poller_new(struct event_base *base)
{
    struct poller *poller = memory_new(sizeof *poller);
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) {
        perror("epoll_create1");
        abort(); /* at the start, and nothing works without it */
    }
    poller->ready = event_new(base, poller->epoll_fd, EV_READ | EV_PERSIST, on_ready, poller);
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
    return ((wanted & POLLER_READ) != 0 ? EPOLLIN : 0u) |
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
