#include "server_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/stderr_line.h"
#include "loop.h"
#include "process_log.h"
#include "websocket/connections.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

enum { LEAVE_LATEST_US = 500000 };

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

void server_finish(struct server *server, const char *why)
{
    static const struct timeval moment = {0, LEAVE_LATEST_US};
    process_log_reason(server, why);
    if (server->leaving || presence_leave(server->presence, on_left, server) != 0) {
        on_left(server);
        return;
    }
    server->leaving = true;
    event_base_once(server->base, -1, EV_TIMEOUT, on_leave_late, server, &moment);
}

void server_begin_drain(struct server *server, bool delayed, const char *why)
{
    process_log_reason(server, why);
    drain_begin(server, delayed);
}

/* The first signal drains, a second one ends it at once. */
static void on_stop(struct server *server, int signal)
{
    /* a worker may be told with its whole process group, and again by its supervisor: that is one
     */
    bool worker = server->config->workers != 1;
    if (worker && signal == SIGTERM && drain_is_fresh(&server->drain))
        return;
    if (drain_has_begun(&server->drain) || signal == SIGINT)
        server_finish(server, signal == SIGINT ? "SIGINT" : "SIGTERM");
    else
        server_begin_drain(server, true, "SIGTERM");
}

static void on_reopen(struct server *server)
{
    broker_reread_password(server->broker);
    log_reopen(server->log);
}

static void on_signal(evutil_socket_t number, short events, void *arg)
{
    (void)events;
    struct server *server = arg;
    if (number == SIGHUP || number == SIGUSR1)
        on_reopen(server);
    else
        on_stop(server, (int)number);
}

/* --- Once a second --- */

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
    server_finish(server, "there is no private Redis any more");
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    metrics_begin_iteration(&server->metrics);
    stalls_tick(server->stalls);
    http_server_tick(server->http);
    broker_tick(server->broker);
    sessions_tick(server->sessions);
    look_after_redis(server);
    refusals_tick(server->refusals, clock_monotonic_ms());
    log_tick(server->log);
}

/* --- Life --- */

static void make_events(struct server *server)
{
    static const struct timeval second = {1, 0};
    server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
    event_add(server->tick, &second);
    listener_enable_later(server->listener);
    for (size_t i = 0; i < SIGNALS_HANDLED; i++) {
        server->signals[i] = evsignal_new(server->base, signals_handled[i], on_signal, server);
        event_add(server->signals[i], NULL);
    }
    signals_unblock();
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
    if (server_make_parts(server, error, error_size) != 0) {
        server_free(server);
        return NULL;
    }
    make_events(server);
    return server;
}

int server_run(struct server *server)
{
    process_log_start(server);
    stalls_tick(server->stalls);
    loop_run(server);
    process_log_stop(server);
    return server->status;
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

static void close_listener(const struct server *server)
{
    if (server->listener == NULL)
        return;
    listener_reject(server->listener);
    listener_close(server->listener, server->http != NULL);
    listener_free(server->listener);
}

/* First what calls back, so that nobody is called who is gone. A signal that comes from here on
 * finds no handler any more, and this process as good as ended. */
void server_free(struct server *server)
{
    sigset_t before;
    if (server == NULL)
        return;
    signals_block(&before);
    for (size_t i = 0; i < SIGNALS_HANDLED; i++)
        free_event(server->signals[i]);
    close_listener(server);
    free_event(server->drain.tick);
    http_server_free(server->http);
    client_addresses_free(server->addresses);
    broker_stop(server->broker);
    connections_free(server->connections);
    presence_free(server->presence);
    server->presence = NULL;
    sessions_free(server->sessions);
    broker_free(server->broker);
    quota_free(server->quota);
    fanout_free(server->fanout);
    batch_send_free(server->sender);
    poller_free(server->poller);
    free_event(server->tick);
    stalls_free(server->stalls);
    embedded_redis_stop(server->embedded);
    event_base_free(server->base);
    refusals_free(server->refusals);
    free(server);
}
