#include "server.h"

#include "audience.h"
#include "bus.h"
#include "clock.h"
#include "embedded_redis.h"
#include "file_limit.h"
#include "http.h"
#include "listener.h"
#include "memory.h"
#include "poller.h"
#include "presence.h"
#include "sender.h"
#include "session.h"
#include "stderr_line.h"
#include "turns.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RESERVED_FILES = 64,
    MOST_LISTENERS = CONFIG_ADDRESSES,
    MOST_ACCEPTS = 32,
    OPEN_LATEST_US = 500000,
    DRAIN_TICK_US = 50000,
    DRAIN_LEAST_MS = LISTENER_LAST_HANDSHAKES_MS + 300,
    DRAIN_EXTRA_MS = 6000
};

/* A socket that people come in by. */
struct door {
    struct server *server;
    struct event *knock;
    int fd;
};

struct server {
    const struct config *config;
    struct log *log;
    struct event_base *base;
    struct poller *poller;
    struct sender *sender;
    struct audiences *audiences;
    struct embedded_redis *embedded;
    struct redis_url redis_url;
    struct metrics metrics;
    struct bus *bus;
    struct connections *connections;
    struct quota *quota;
    struct sessions *sessions;
    struct presence *presence;
    struct http *http;
    struct door doors[MOST_LISTENERS];
    size_t door_count;
    struct event *tick, *drain_tick, *open_later, *last_handshakes;
    struct event *on_term, *on_int, *on_hup;
    int64_t drain_end_ms;
    int64_t drain_least_ms; /* for requests of those who connected at the last moment */
    bool draining;
    int status;
};

/* --- Accepting --- */

static void watch_doors(struct server *server)
{
    for (size_t i = 0; i < server->door_count; i++)
        event_add(server->doors[i].knock, NULL);
}

static void look_away(struct server *server)
{
    for (size_t i = 0; i < server->door_count; i++)
        event_del(server->doors[i].knock);
}

static bool accept_one(const struct door *door)
{
    static const struct timeval pause = {0, 100000};
    struct server *server = door->server;
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int fd = accept4(door->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        struct address address = address_of_peer((struct sockaddr *)&peer);
        http_accept(server->http, fd, &address);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED)
        return true;
    if (errno != EAGAIN) { /* out of descriptors: accepting again at once would only spin */
        look_away(server);
        evtimer_add(server->open_later, &pause);
    }
    return false;
}

/* Some in each turn of the loop, and a single one while not everybody who is in has been heard, or
 * those who are gone still count: in a storm of people whoever comes in waits in the kernel's
 * queue, where that costs nobody anything. Never none: monitoring comes by the same door. */
static void on_knock(evutil_socket_t fd, short events, void *arg)
{
    (void)events;
    const struct door *door = arg;
    const struct server *server = door->server;
    bool busy = poller_is_behind(server->poller) || connections_are_dying(server->connections);
    for (int i = busy ? 1 : listener_waiting(fd, MOST_ACCEPTS); i > 0 && accept_one(door); i--)
        ;
}

/* After a pause for want of descriptors, and a moment after the start. Until then nobody is
 * accepted, unless Redis was reached (on_up): the kernel gives people to each worker that listens,
 * and one that has not reached it would refuse them. For a moment only: when Redis is away people
 * are told so, and whoever watches over the gateway is answered. */
static void on_open_later(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    watch_doors(arg);
}

static int open_doors(struct server *server, char *error, size_t error_size)
{
    const struct config_list *addresses = &server->config->addr;
    /* two gateways with a private Redis each would be two chats on one port */
    bool shared = server->config->redis_url.scheme != REDIS_EMBEDDED;
    for (size_t i = 0; i < addresses->count; i++) {
        int fd = listener_open(addresses->items[i], shared, error, error_size);
        if (fd < 0)
            return -1;
        struct door *door = &server->doors[server->door_count++];
        *door = (struct door){.server = server, .fd = fd};
        door->knock = event_new(server->base, fd, EV_READ | EV_PERSIST, on_knock, door);
    }
    return 0;
}

static void turn_away(const struct server *server)
{
    for (size_t i = 0; i < server->door_count; i++)
        listener_turn_away(server->doors[i].fd, server->config->addr.items[i]);
}

/* Closing a listener resets the connections that wait in its queue: they are taken first. */
static void close_doors(struct server *server)
{
    for (size_t i = 0; i < server->door_count; i++) {
        while (server->http != NULL && accept_one(&server->doors[i]))
            ;
    }
    for (size_t i = 0; i < server->door_count; i++) {
        event_free(server->doors[i].knock);
        close(server->doors[i].fd);
    }
    server->door_count = 0;
}

static void on_last_handshakes(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    close_doors(arg);
}

/* --- Ending --- */

static void finish(struct server *server)
{
    event_base_loopbreak(server->base);
}

static void on_drain_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    int64_t now_ms = clock_monotonic_ms();
    bool empty = sessions_drain_tick(server->sessions) && now_ms >= server->drain_least_ms;
    if (empty || now_ms >= server->drain_end_ms)
        finish(server);
}

/* The first signal drains, a second one ends it at once. */
static void on_stop(evutil_socket_t signal, short events, void *arg)
{
    (void)events;
    struct server *server = arg;
    /* a worker may be told with its whole process group, and again by its supervisor: that is one
     */
    bool worker = server->config->workers != 1;
    if (worker && server->draining && signal == SIGTERM &&
        clock_monotonic_ms() < server->drain_least_ms)
        return;
    if (server->draining || signal == SIGINT) {
        finish(server);
        return;
    }
    static const struct timeval often = {0, DRAIN_TICK_US};
    static const struct timeval handshakes = {0, LISTENER_LAST_HANDSHAKES_MS * 1000};
    server->draining = true;
    server->drain_least_ms = clock_monotonic_ms() + DRAIN_LEAST_MS;
    server->drain_end_ms =
        clock_monotonic_ms() + (int64_t)server->config->drain * 1000 + DRAIN_EXTRA_MS;
    log_write(server->log, &(struct log_line){.kind = "drain", .message = "going away"});
    http_drain(server->http);
    turn_away(server);
    event_add(server->last_handshakes, &handshakes);
    sessions_drain(server->sessions);
    event_add(server->drain_tick, &often);
}

static void on_reopen(evutil_socket_t signal, short events, void *arg)
{
    (void)signal;
    (void)events;
    struct server *server = arg;
    log_reopen(server->log);
}

/* --- Glue --- */

static void look_after_redis(struct server *server)
{
    char what[256];
    enum embedded_redis_news news = embedded_redis_check(server->embedded, what, sizeof what);
    if (news == EMBEDDED_REDIS_QUIET)
        return;
    bool given_up = news == EMBEDDED_REDIS_GIVEN_UP;
    log_write(server->log, &(struct log_line){.level = given_up ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
                                              .kind = "embedded-redis",
                                              .message = what});
    if (!given_up)
        return;
    stderr_line_print("%s", what);
    server->status = 1;
    finish(server);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    http_tick(server->http);
    bus_tick(server->bus);
    sessions_tick(server->sessions);
    look_after_redis(server);
    log_tick(server->log);
}

static void on_up(void *arg)
{
    struct server *server = arg;
    presence_up(server->presence);
    sessions_on_up(server->sessions);
    watch_doors(server);
}

/* In a storm of people a turn of the loop takes milliseconds, on a shared core three times as long.
 * What is said shall wait for its turn, but not for the end of it: neither here, on its way to
 * Redis, nor in on_heard, on its way to everybody. */
static void on_members_served(void *arg)
{
    const struct server *server = arg;
    bus_flush(server->bus);
}

static void on_heard(void *arg)
{
    const struct server *server = arg;
    if (poller_is_behind(server->poller))
        audiences_flush(server->audiences);
}

static void on_told(void *arg, const char *data, size_t len)
{
    struct server *server = arg;
    sessions_on_told(server->sessions, data, len);
}

static void on_lapsed(void *arg)
{
    struct server *server = arg;
    sessions_on_lapsed(server->sessions);
}

static void on_room_opened(void *arg, const struct place *place)
{
    struct server *server = arg;
    presence_note_room(server->presence, place->name, true);
}

static void on_room_closed(void *arg, const struct place *place)
{
    struct server *server = arg;
    if (server->presence != NULL)
        presence_note_room(server->presence, place->name, false);
}

/* --- Making --- */

/* Sockets get what is left of the file limit. */
static uint64_t find_max_sockets(void)
{
    uint64_t files = file_limit_raise();
    return files > RESERVED_FILES ? files - RESERVED_FILES : 1;
}

static int find_redis(struct server *server, char *error, size_t error_size)
{
    server->redis_url = server->config->redis_url;
    if (server->redis_url.scheme != REDIS_EMBEDDED)
        return 0;
    server->embedded = embedded_redis_start(&server->redis_url, error, error_size);
    return server->embedded == NULL ? -1 : 0;
}

static int make_sender(struct server *server, char *error, size_t error_size)
{
    unsigned wanted = server->config->send;
    if (wanted != CONFIG_SEND_WRITEV)
        server->sender = sender_new(true);
    if (server->sender == NULL && wanted != CONFIG_SEND_URING)
        server->sender = sender_new(false);
    if (server->sender != NULL)
        return 0;
    snprintf(error, error_size, "send: this kernel has no io_uring, or forbids it; try auto");
    return -1;
}

static int make_bus(struct server *server, char *error, size_t error_size)
{
    const struct bus_options options = {server->base, server->config, &server->redis_url,
                                        &server->metrics, server->log};
    const struct bus_callbacks callbacks = {on_up, on_told, on_heard};
    server->bus = bus_new(&options, &callbacks, server, error, error_size);
    return server->bus == NULL ? -1 : 0;
}

static void make_parts(struct server *server)
{
    const struct config *config = server->config;
    const struct connections_options connections = {server->base, server->poller, &server->metrics,
                                                    (unsigned)config->ping, config->max_message};
    server->connections = connections_new(&connections);
    server->audiences = audiences_new(server->base, server->sender, &server->metrics);
    server->quota = quota_new(config->max_connections_per_address);
    const struct sessions_options sessions = {
        .base = server->base,
        .config = config,
        .audiences = server->audiences,
        .bus = server->bus,
        .connections = server->connections,
        .quota = server->quota,
        .metrics = &server->metrics,
        .log = server->log,
        .on_opened = on_room_opened,
        .on_room_closed = on_room_closed,
        .arg = server,
    };
    server->sessions = sessions_new(&sessions);
    const struct presence_options presence = {
        .base = server->base,
        .bus = server->bus,
        .rooms = sessions_rooms(server->sessions),
        .metrics = &server->metrics,
        .log = server->log,
        .on_lapsed = on_lapsed,
        .arg = server,
    };
    server->presence = presence_new(&presence);
}

static void make_http(struct server *server)
{
    uint64_t sockets = find_max_sockets();
    uint64_t wanted = server->config->max_connections;
    const struct http_options http = {
        .poller = server->poller,
        .config = server->config,
        .bus = server->bus,
        .connections = server->connections,
        .sessions = server->sessions,
        .quota = server->quota,
        .metrics = &server->metrics,
        .log = server->log,
        .max_connections = wanted == 0 || wanted > sockets ? sockets : wanted,
        .max_sockets = sockets,
    };
    server->http = http_new(&http);
}

static void make_events(struct server *server)
{
    static const struct timeval second = {1, 0};
    static const struct timeval moment = {0, OPEN_LATEST_US};
    server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
    server->drain_tick = event_new(server->base, -1, EV_PERSIST, on_drain_tick, server);
    server->open_later = evtimer_new(server->base, on_open_later, server);
    server->last_handshakes = evtimer_new(server->base, on_last_handshakes, server);
    server->on_term = evsignal_new(server->base, SIGTERM, on_stop, server);
    server->on_int = evsignal_new(server->base, SIGINT, on_stop, server);
    server->on_hup = evsignal_new(server->base, SIGHUP, on_reopen, server);
    event_add(server->tick, &second);
    event_add(server->open_later, &moment);
    event_add(server->on_term, NULL);
    event_add(server->on_int, NULL);
    event_add(server->on_hup, NULL);
    signal(SIGPIPE, SIG_IGN);
}

struct server *server_new(const struct config *config, struct log *log, char *error,
                          size_t error_size)
{
    struct server *server = memory_new(sizeof *server);
    server->config = config;
    server->log = log;
    server->metrics.started_at_ms = clock_wall_ms();
    server->base = event_base_new();
    if (make_sender(server, error, error_size) != 0 || open_doors(server, error, error_size) != 0 ||
        find_redis(server, error, error_size) != 0 || make_bus(server, error, error_size) != 0) {
        server_free(server);
        return NULL;
    }
    server->poller = poller_new(server->base, on_members_served, server);
    make_parts(server);
    make_http(server);
    make_events(server);
    return server;
}

static bool has_more(void *arg)
{
    const struct server *server = arg;
    return audiences_have_more(server->audiences) || poller_is_behind(server->poller);
}

int server_run(struct server *server)
{
    char addresses[512] = "";
    for (size_t i = 0; i < server->config->addr.count; i++) {
        size_t len = strlen(addresses);
        snprintf(addresses + len, sizeof addresses - len, "%slistening on %s", i == 0 ? "" : ", ",
                 server->config->addr.items[i]);
    }
    log_write(server->log, &(struct log_line){.kind = "start", .message = addresses});
    turns_run(server->base, has_more, server);
    log_write(server->log, &(struct log_line){.kind = "stop"});
    return server->status;
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

/* First what calls back, so that nobody is called who is gone. */
void server_free(struct server *server)
{
    if (server == NULL)
        return;
    if (!server->draining) /* afterwards a path may be a successor's */
        turn_away(server);
    close_doors(server);
    http_free(server->http);
    bus_stop(server->bus);
    connections_free(server->connections);
    presence_free(server->presence);
    server->presence = NULL;
    sessions_free(server->sessions);
    bus_free(server->bus);
    quota_free(server->quota);
    audiences_free(server->audiences);
    sender_free(server->sender);
    poller_free(server->poller);
    free_event(server->tick);
    free_event(server->drain_tick);
    free_event(server->open_later);
    free_event(server->last_handshakes);
    free_event(server->on_term);
    free_event(server->on_int);
    free_event(server->on_hup);
    embedded_redis_stop(server->embedded);
    event_base_free(server->base);
    free(server);
}
