#include "http/listener.h"

#include "base/memory.h"
#include "http/listen_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MOST_ACCEPTS = 32, WATCH_LATEST_US = 500000, PAUSE_US = 100000, MOST_TAKEN = 65536 };

/* A socket that people come in by. */
struct door {
    struct doors *doors;
    struct event *knock;
    int fd;
};

struct doors {
    struct event_base *base;
    const struct config *config;
    struct doors_callbacks callbacks;
    void *arg;
    struct listener listeners[CONFIG_ADDRESSES];
    size_t listener_count;
    struct door items[CONFIG_ADDRESSES * LISTENER_SOCKETS];
    size_t count;
    bool turned_away;
    struct event *watch_later;
};

/* --- Accepting --- */

void doors_watch(struct doors *doors)
{
    for (size_t i = 0; i < doors->count; i++)
        event_add(doors->items[i].knock, NULL);
}

void doors_look_away(struct doors *doors)
{
    evtimer_del(doors->watch_later);
    for (size_t i = 0; i < doors->count; i++)
        event_del(doors->items[i].knock);
}

/* Whoever cannot be accepted waits in the kernel's queue: trying again at once would only spin. */
static void pause_accepting(struct doors *doors, enum refusal reason)
{
    static const struct timeval pause = {0, PAUSE_US};
    doors->callbacks.on_full(doors->arg, reason);
    doors_look_away(doors);
    evtimer_add(doors->watch_later, &pause);
}

/* Is the next one to be tried? */
static bool survive(struct doors *doors, int error)
{
    switch (error) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        pause_accepting(doors, REFUSAL_DESCRIPTORS);
        return false;
    case ENOBUFS:
    case ENOMEM:
        pause_accepting(doors, REFUSAL_KERNEL_MEMORY);
        return false;
    default: /* of who came alone: it has gone, or its network has (accept(2)) */
        return true;
    }
}

static bool accept_one(const struct door *door)
{
    struct doors *doors = door->doors;
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int fd = accept4(door->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        struct address address = address_of_peer((struct sockaddr *)&peer);
        doors->callbacks.on_come(doors->arg, fd, &address);
        return true;
    }
    return survive(doors, errno);
}

/* Some in each turn of the loop, and a single one while not everybody who is in has been heard, or
 * those who are gone still count: in a storm of people whoever comes in waits in the kernel's
 * queue, where that costs nobody anything. Never none: monitoring comes by the same door. */
static void on_knock(evutil_socket_t fd, short events, void *arg)
{
    (void)events;
    const struct door *door = arg;
    const struct doors *doors = door->doors;
    bool busy = doors->callbacks.is_busy(doors->arg);
    for (int i = busy ? 1 : listener_waiting(fd, MOST_ACCEPTS); i > 0 && accept_one(door); i--)
        ;
}

/* After a pause for want of descriptors, and a moment after the start. Until then nobody is
 * accepted, unless the gateway was ready before: the kernel gives people to each worker that
 * listens, and one that is not ready would refuse them. For a moment only: when Redis is away
 * people are told so, and whoever watches over the gateway is answered. */
static void on_watch_later(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    doors_watch(arg);
}

void doors_watch_later(struct doors *doors)
{
    static const struct timeval moment = {0, WATCH_LATEST_US};
    evtimer_add(doors->watch_later, &moment);
}

/* --- Opening and closing --- */

static void add_door(struct doors *doors, int fd)
{
    struct door *door = &doors->items[doors->count++];
    *door = (struct door){.doors = doors, .fd = fd};
    door->knock = event_new(doors->base, fd, EV_READ | EV_PERSIST, on_knock, door);
}

/* The next address: one door for a port or a path, several for a name. */
static int open_doors(struct doors *doors, bool shared, char *error, size_t error_size)
{
    const struct listener_options options = {shared, doors->config->addr_mode};
    struct listener *listener = &doors->listeners[doors->listener_count];
    if (listener_open(&doors->config->listen[doors->listener_count], &options, listener, error,
                      error_size) != 0)
        return -1;
    doors->listener_count++;
    for (size_t i = 0; i < listener->count; i++)
        add_door(doors, listener->fds[i]);
    return 0;
}

struct doors *doors_open(struct event_base *base, const struct config *config, bool shared,
                         char *error, size_t error_size)
{
    struct doors *doors = memory_new(sizeof *doors);
    doors->base = base;
    doors->config = config;
    doors->watch_later = evtimer_new(base, on_watch_later, doors);
    while (doors->listener_count < config->addr.count) {
        if (open_doors(doors, shared, error, error_size) != 0) {
            doors_turn_away(doors);
            doors_close(doors, false);
            doors_free(doors);
            return NULL;
        }
    }
    return doors;
}

void doors_set_callbacks(struct doors *doors, const struct doors_callbacks *callbacks, void *arg)
{
    doors->callbacks = *callbacks;
    doors->arg = arg;
}

void doors_turn_away(struct doors *doors)
{
    for (size_t i = 0; i < doors->listener_count && !doors->turned_away; i++)
        listener_turn_away(&doors->listeners[i]);
    doors->turned_away = true;
}

void doors_close(struct doors *doors, bool take)
{
    for (size_t i = 0; take && i < doors->count; i++) {
        for (int left = MOST_TAKEN; left > 0 && accept_one(&doors->items[i]); left--)
            ;
    }
    for (size_t i = 0; i < doors->count; i++)
        event_free(doors->items[i].knock);
    for (size_t i = 0; i < doors->listener_count; i++)
        listener_close(&doors->listeners[i]);
    doors->count = doors->listener_count = 0;
}

void doors_free(struct doors *doors)
{
    if (doors == NULL)
        return;
    event_free(doors->watch_later);
    free(doors);
}
