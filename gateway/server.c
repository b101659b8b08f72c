#include "server_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/stderr_line.h"
#include "config/address_rates.h"
#include "http/ops.h"
#include "loop.h"
#include "process_log.h"
#include "server_parts.h"
#include "websocket/connections.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Signals --- */

/* The first signal drains, a second one ends it at once. */
static void on_stop(struct server *server, int signal)
{
    /* a worker may get one signal twice: with its process group, and from its supervisor */
    bool worker = server->config->workers != 1;
    if (worker && signal == SIGTERM && drain_is_fresh(&server->drain))
        return;
    if (drain_has_begun(&server->drain) || signal == SIGINT)
        drain_finish(server, signal == SIGINT ? "SIGINT" : "SIGTERM");
    else
        drain_begin(server, true, "SIGTERM");
}

static void on_signal(evutil_socket_t number, short events, void *arg)
{
    (void)events;
    struct server *server = arg;
    if (number == SIGTERM || number == SIGINT) {
        on_stop(server, (int)number);
        return;
    }
    broker_reread_password(server->broker);
    log_reopen(server->log);
}

/* --- Once a second --- */

static void check_embedded_redis(struct server *server)
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
    drain_finish(server, "there is no private Redis any more");
}

static void tell_service(const struct server *server)
{
    char line[128];
    const char *why = ops_why_not_ready(&server->site);
    if (why == NULL)
        service_ready(server->service);
    snprintf(line, sizeof line, "%s; %zu connections", why == NULL ? "ready" : why,
             connections_count(server->connections));
    service_status(server->service, line);
    service_tick(server->service, clock_monotonic_ms());
}

static void on_second(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    metrics_begin_iteration(&server->metrics);
    stalls_tick(server->stalls);
    http_server_tick(server->http);
    broker_tick(server->broker);
    sessions_tick(server->sessions);
    check_embedded_redis(server);
    address_rates_tick(server->address_rates, clock_monotonic_ms());
    refusals_tick(server->refusals, clock_monotonic_ms());
    log_tick(server->log);
    tell_service(server);
}

/* --- Making, running, freeing --- */

static void make_events(struct server *server)
{
    static const struct timeval second = {1, 0};
    server->tick = event_new(server->base, -1, EV_PERSIST, on_second, server);
    event_add(server->tick, &second);
    listener_enable_later(server->listener);
    for (size_t i = 0; i < SIGNALS_HANDLED; i++) {
        server->signals[i] = evsignal_new(server->base, signals_handled[i], on_signal, server);
        event_add(server->signals[i], NULL);
    }
    signals_unblock();
}

struct server *server_new(const struct config *config, struct log *log, struct service *service,
                          char *error, size_t error_size)
{
    struct server *server = memory_new(sizeof *server);
    server->config = config;
    server->log = log;
    server->service = service;
    server->metrics.started_at_ms = clock_wall_ms();
    server->refusals = refusals_new(&server->metrics, log);
    server->base = event_base_new();
    server->stalls = stalls_new(&server->metrics, log);
    if (server_parts_make(server, error, error_size) != 0) {
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

/* First what calls back, so that no callback finds its argument freed. A signal that comes from
 * here on waits until the process has ended. */
void server_free(struct server *server)
{
    sigset_t before;
    if (server == NULL)
        return;
    signals_block(&before);
    for (size_t i = 0; i < SIGNALS_HANDLED; i++)
        free_event(server->signals[i]);
    if (server->http != NULL)
        listener_close(server->listener);
    listener_free(server->listener);
    free_event(server->drain.tick);
    http_server_free(server->http);
    pages_free(server->pages);
    client_addresses_free(server->addresses);
    broker_stop(server->broker);
    connections_free(server->connections);
    membership_free(server->membership);
    server->membership = NULL;
    sessions_free(server->sessions);
    broker_free(server->broker);
    quota_free(server->quota);
    address_rates_free(server->address_rates);
    fanout_free(server->fanout);
    batch_send_free(server->sender);
    poller_free(server->http_poller);
    poller_free(server->poller);
    free_event(server->tick);
    stalls_free(server->stalls);
    embedded_redis_stop(server->embedded);
    event_base_free(server->base);
    refusals_free(server->refusals);
    free(server);
}
