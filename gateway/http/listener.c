#include "http/listener.h"

#include "base/memory.h"
#include "http/listen_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    MAX_ACCEPTS = 32,
    ENABLE_LATEST_US = 500000,
    PAUSE_US = 100000,
    MAX_LAST_ACCEPTS = 65536,
    MAX_SOCKETS = CONFIG_ADDRESSES + 1, /* each addr, and worker-addr */
};

/* A socket to accept from. */
struct acceptor {
    struct listener *listener;
    struct event *acceptable;
    int fd;
    bool proxied;
};

struct listener {
    struct listener_options options;
    struct listen_socket sockets[MAX_SOCKETS];
    size_t socket_count;
    struct acceptor acceptors[MAX_SOCKETS * LISTEN_SOCKET_FDS];
    size_t count;
    bool rejecting;
    struct event *enable_later;
};

/* --- Accepting --- */

void listener_enable(struct listener *listener)
{
    for (size_t i = 0; i < listener->count; i++)
        event_add(listener->acceptors[i].acceptable, NULL);
}

void listener_disable(struct listener *listener)
{
    evtimer_del(listener->enable_later);
    for (size_t i = 0; i < listener->count; i++)
        event_del(listener->acceptors[i].acceptable);
}

/* Whoever cannot be accepted waits in the kernel's queue: another try at once would only spin. */
static void pause_accepting(struct listener *listener, enum refusal reason)
{
    static const struct timeval pause = {0, PAUSE_US};
    listener->options.on_full(listener->options.arg, reason);
    listener_disable(listener);
    evtimer_add(listener->enable_later, &pause);
}

/* After accept has failed. */
static bool may_accept_next(struct listener *listener, int error)
{
    switch (error) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        pause_accepting(listener, REFUSAL_DESCRIPTORS);
        return false;
    case ENOBUFS:
    case ENOMEM:
        pause_accepting(listener, REFUSAL_KERNEL_MEMORY);
        return false;
    default: /* it concerns this connection alone: the peer, or its network, is gone (accept(2)) */
        return true;
    }
}

static bool accept_one(const struct acceptor *acceptor)
{
    struct listener *listener = acceptor->listener;
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int fd = accept4(acceptor->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        struct address address = address_of_peer((struct sockaddr *)&peer);
        listener->options.on_accept(listener->options.arg, fd, &address, acceptor->proxied);
        return true;
    }
    return may_accept_next(listener, errno);
}

/* Some in each iteration of the loop, and only one while reading or reaping is behind: in a burst
 * of people the others wait in the kernel's queue, where that costs nobody anything. Never none:
 * monitoring connects to the same sockets. */
static void on_acceptable(evutil_socket_t fd, short events, void *arg)
{
    (void)events;
    const struct acceptor *acceptor = arg;
    const struct listener *listener = acceptor->listener;
    bool busy = listener->options.is_busy(listener->options.arg);
    for (int i = busy ? 1 : listen_socket_count_waiting(fd, MAX_ACCEPTS);
         i > 0 && accept_one(acceptor); i--)
        ;
}

/* After a pause for want of descriptors, and half a second after the start. Until then nobody is
 * accepted, unless the gateway is ready earlier: the kernel gives people to each worker that
 * listens, and one that is not ready would refuse them. For half a second only: when Redis is away
 * people are told so, and monitoring is answered. */
static void on_enable_later(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    listener_enable(arg);
}

void listener_enable_later(struct listener *listener)
{
    static const struct timeval moment = {0, ENABLE_LATEST_US};
    evtimer_add(listener->enable_later, &moment);
}

/* --- Opening and closing --- */

static void add_acceptor(struct listener *listener, int fd, bool proxied)
{
    struct acceptor *acceptor = &listener->acceptors[listener->count++];
    *acceptor = (struct acceptor){.listener = listener, .fd = fd, .proxied = proxied};
    acceptor->acceptable =
        event_new(listener->options.base, fd, EV_READ | EV_PERSIST, on_acceptable, acceptor);
}

/* One socket for a port or a path, several for a name. */
static int open_address(struct listener *listener, const struct listen_address *address,
                        char *error, size_t error_size)
{
    const struct listen_socket_options options = {.shared = listener->options.shared,
                                                  .mode = listener->options.config->addr_mode,
                                                  .owner = &listener->options.config->run_as,
                                                  .given = listener->options.given};
    struct listen_socket *listening = &listener->sockets[listener->socket_count];
    if (listen_socket_open(address, &options, listening, error, error_size) != 0)
        return -1;
    listener->socket_count++;
    for (size_t i = 0; i < listening->count; i++)
        add_acceptor(listener, listening->fds[i], address->proxied);
    return 0;
}

static int open_addresses(struct listener *listener, char *error, size_t error_size)
{
    const struct config *config = listener->options.config;
    for (size_t i = 0; i < config->addr.count; i++)
        if (open_address(listener, &config->listen[i], error, error_size) != 0)
            return -1;
    if (config->worker_addr == NULL)
        return 0;
    return open_address(listener, &config->worker_listen, error, error_size);
}

struct listener *listener_open(const struct listener_options *options, char *error,
                               size_t error_size)
{
    struct listener *listener = memory_new(sizeof *listener);
    listener->options = *options;
    listener->enable_later = evtimer_new(options->base, on_enable_later, listener);
    if (open_addresses(listener, error, error_size) == 0)
        return listener;
    listener_free(listener);
    return NULL;
}

void listener_reject(struct listener *listener)
{
    for (size_t i = 0; i < listener->socket_count && !listener->rejecting; i++)
        listen_socket_reject(&listener->sockets[i]);
    listener->rejecting = true;
}

static void close_sockets(struct listener *listener)
{
    for (size_t i = 0; i < listener->count; i++)
        event_free(listener->acceptors[i].acceptable);
    for (size_t i = 0; i < listener->socket_count; i++)
        listen_socket_close(&listener->sockets[i]);
    listener->count = listener->socket_count = 0;
}

void listener_close(struct listener *listener)
{
    listener_reject(listener);
    for (size_t i = 0; i < listener->count; i++) {
        for (int left = MAX_LAST_ACCEPTS; left > 0 && accept_one(&listener->acceptors[i]); left--)
            ;
    }
    close_sockets(listener);
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    listener_reject(listener);
    close_sockets(listener);
    event_free(listener->enable_later);
    free(listener);
}
