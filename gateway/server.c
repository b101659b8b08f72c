#include "server.h"

#include "audience.h"
#include "bus.h"
#include "clock.h"
#include "doors.h"
#include "drain.h"
#include "embedded_redis.h"
#include "file_limit.h"
#include "http.h"
#include "memory.h"
#include "poller.h"
#include "presence.h"
#include "sender.h"
#include "session.h"
#include "signals.h"
#include "stalls.h"
#include "start_line.h"
#include "stderr_line.h"
#include "stop_line.h"
#include "turns.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LEAVE_LATEST_US = 500000 };

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
    struct refusals *refusals;
    struct bus *bus;
    struct connections *connections;
    struct quota *quota;
    struct sessions *sessions;
    struct presence *presence;
    struct http *http;
    struct doors *doors;
    struct drain *drain;
    struct stalls *stalls;
    struct event *tick, *leave_late;
    struct signals *signals;
    struct stop_line stop;
    bool leaving; /* the lease is being given back */
    int status;   /* of the process */
};

/* --- Accepting --- */

static void on_come(void *arg, int fd, const struct address *address)
{
    struct server *server = arg;
    metrics_begin_turn(&server->metrics);
    http_accept(server->http, fd, address);
}

static bool is_busy(void *arg)
{
    const struct server *server = arg;
    return poller_is_behind(server->poller) || connections_are_dying(server->connections);
}

static void on_full(void *arg, enum refusal reason)
{
    const struct server *server = arg;
    refusals_note(server->refusals, reason, NULL);
}

/* Two gateways with a private Redis each would be two chats on one port. */
static int open_doors(struct server *server, char *error, size_t error_size)
{
    static const struct doors_callbacks callbacks = {on_come, is_busy, on_full};
    bool shared = server->config->redis_url.scheme != REDIS_EMBEDDED;
    server->doors = doors_open(server->base, server->config, shared, error, error_size);
    if (server->doors == NULL)
        return -1;
    doors_set_callbacks(server->doors, &callbacks, server);
    return 0;
}

/* --- Ending --- */

static void on_left(void *arg)
{
    const struct server *server = arg;
    event_base_loopbreak(server->base);
}

static void on_leave_late(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    on_left(arg);
}

/* Once the lease is given back, or Redis does not answer in time. Told again, at once. */
static void finish(struct server *server, const char *why)
{
    static const struct timeval moment = {0, LEAVE_LATEST_US};
    stop_line_begin(&server->stop, why);
    if (server->leaving || presence_leave(server->presence, on_left, server) != 0) {
        on_left(server);
        return;
    }
    server->leaving = true;
    event_add(server->leave_late, &moment);
}

static void on_drained(void *arg)
{
    finish(arg, NULL);
}

static void begin_drain(struct server *server, bool delayed, const char *why)
{
    stop_line_begin(&server->stop, why);
    drain_begin(server->drain, delayed);
}

/* The first signal drains, a second one ends it at once. */
static void on_stop(struct server *server, int signal)
{
    /* a worker may be told with its whole process group, and again by its supervisor: that is one
     */
    bool worker = server->config->workers != 1;
    if (worker && signal == SIGTERM && drain_is_fresh(server->drain))
        return;
    if (drain_has_begun(server->drain) || signal == SIGINT)
        finish(server, signal == SIGINT ? "SIGINT" : "SIGTERM");
    else
        begin_drain(server, true, "SIGTERM");
}

static void on_superseded(void *arg)
{
    struct server *server = arg;
    server->status = 1;
    begin_drain(server, false,
                "another process has taken the gateway-id over"); /* its id is another's: nobody may
                                                                     come in */
}

static void on_refused(void *arg, const char *why)
{
    struct server *server = arg;
    stderr_line_print("%s", why);
    server->status = SERVER_ID_TAKEN;
    finish(server, "the gateway-id is another living gateway's");
}

/* Other processes on this port can serve people meanwhile, and this one would only refuse them. */
static void on_waiting(void *arg, bool waiting)
{
    const struct server *server = arg;
    if (waiting)
        doors_look_away(server->doors);
    else
        doors_watch_later(server->doors);
}

static void on_reopen(struct server *server)
{
    bus_reread_password(server->bus);
    log_reopen(server->log);
}

static void on_signal(void *arg, int number)
{
    struct server *server = arg;
    if (number == SIGHUP || number == SIGUSR1)
        on_reopen(server);
    else
        on_stop(server, number);
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
    finish(server, "there is no private Redis any more");
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    metrics_begin_turn(&server->metrics);
    stalls_tick(server->stalls);
    http_tick(server->http);
    bus_tick(server->bus);
    sessions_tick(server->sessions);
    look_after_redis(server);
    refusals_tick(server->refusals, clock_monotonic_ms());
    log_tick(server->log);
}

static void on_up(void *arg)
{
    struct server *server = arg;
    sessions_on_up(server->sessions);
    presence_up(server->presence);
}

static void on_taken(void *arg)
{
    struct server *server = arg;
    sessions_admit(server->sessions);
    doors_watch(server->doors);
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

static void on_beside(void *arg, bool beside)
{
    const struct server *server = arg;
    sessions_set_beside(server->sessions, beside);
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
    return files > FILE_LIMIT_RESERVED ? files - FILE_LIMIT_RESERVED : 1;
}

static uint64_t find_max_connections(const struct config *config)
{
    uint64_t sockets = find_max_sockets();
    uint64_t wanted = config->max_connections;
    return wanted == 0 || wanted > sockets ? sockets : wanted;
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
    const struct connections_options connections = {server->base,           server->poller,
                                                    &server->metrics,       server->refusals,
                                                    (unsigned)config->ping, config->max_message};
    server->connections = connections_new(&connections);
    server->audiences =
        audiences_new(server->base, server->sender, &server->metrics, server->refusals);
    server->quota = quota_new(config->max_connections_per_address);
    const struct sessions_options sessions = {
        .base = server->base,
        .config = config,
        .audiences = server->audiences,
        .bus = server->bus,
        .connections = server->connections,
        .quota = server->quota,
        .metrics = &server->metrics,
        .refusals = server->refusals,
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
        .on_taken = on_taken,
        .on_lapsed = on_lapsed,
        .on_refused = on_refused,
        .on_superseded = on_superseded,
        .on_waiting = on_waiting,
        .on_beside = on_beside,
        .arg = server,
    };
    server->presence = presence_new(&presence);
}

static void make_http(struct server *server)
{
    const struct http_options http = {
        .poller = server->poller,
        .config = server->config,
        .bus = server->bus,
        .connections = server->connections,
        .sessions = server->sessions,
        .quota = server->quota,
        .metrics = &server->metrics,
        .refusals = server->refusals,
        .log = server->log,
        .max_connections = find_max_connections(server->config),
        .max_sockets = find_max_sockets(),
    };
    server->http = http_new(&http);
}

static void make_drain(struct server *server)
{
    const struct drain_options drain = {
        .base = server->base,
        .config = server->config,
        .log = server->log,
        .http = server->http,
        .doors = server->doors,
        .presence = server->presence,
        .sessions = server->sessions,
        .on_over = on_drained,
        .arg = server,
    };
    server->drain = drain_new(&drain);
}

static void make_events(struct server *server)
{
    static const struct timeval second = {1, 0};
    server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
    server->leave_late = evtimer_new(server->base, on_leave_late, server);
    event_add(server->tick, &second);
    doors_watch_later(server->doors);
    server->signals = signals_watch(server->base, on_signal, server);
}

struct server *server_new(const struct config *config, struct log *log, char *error,
                          size_t error_size)
{
    struct server *server = memory_new(sizeof *server);
    server->config = config;
    server->log = log;
    server->metrics.started_at_ms = clock_wall_ms();
    server->refusals = refusals_new(&server->metrics, log);
    server->base = event_base_new();
    server->stalls = stalls_new(&server->metrics, log);
    if (make_sender(server, error, error_size) != 0 || open_doors(server, error, error_size) != 0 ||
        find_redis(server, error, error_size) != 0 || make_bus(server, error, error_size) != 0) {
        server_free(server);
        return NULL;
    }
    server->poller = poller_new(server->base, &server->metrics, on_members_served, server);
    make_parts(server);
    make_http(server);
    make_drain(server);
    make_events(server);
    return server;
}

static void on_turn_end(void *arg)
{
    struct server *server = arg;
    sessions_end_turn(server->sessions);
    stalls_end_turn(server->stalls);
}

static bool has_more(void *arg)
{
    const struct server *server = arg;
    return audiences_have_more(server->audiences) || poller_is_behind(server->poller);
}

int server_run(struct server *server)
{
    static const struct turns_callbacks callbacks = {on_turn_end, has_more};
    const struct start_facts facts = {server->config, &server->redis_url, server->sender,
                                      find_max_connections(server->config)};
    start_line_tell(server->log, &facts);
    stalls_tick(server->stalls);
    turns_run(server->base, &callbacks, server);
    stop_line_tell(&server->stop, server->log, server->sessions);
    return server->status;
}

static void free_events(const struct server *server)
{
    struct event *const events[] = {server->tick, server->leave_late, server->on_term,
                                    server->on_int, server->on_hup};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (events[i] != NULL)
            event_free(events[i]);
}

static void close_doors(const struct server *server)
{
    if (server->doors == NULL)
        return;
    doors_turn_away(server->doors);
    doors_close(server->doors, server->http != NULL);
    doors_free(server->doors);
}

/* First what calls back, so that nobody is called who is gone. A signal that comes from here on
 * finds no handler any more, and this process as good as ended. */
void server_free(struct server *server)
{
    if (server == NULL)
        return;
    signals_end(server->signals);
    close_doors(server);
    drain_free(server->drain);
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
    free_events(server);
    stalls_free(server->stalls);
    embedded_redis_stop(server->embedded);
    event_base_free(server->base);
    refusals_free(server->refusals);
    free(server);
}
