#include "drain.h"

#include "base/clock.h"
#include "http/listen_socket.h"
#include "server_internal.h"
#include "session/drain.h"

#include <event2/event.h>

enum {
    TICK_US = 50000,
    /* for requests of who came with the last handshakes */
    MIN_DRAIN_MS = LISTEN_SOCKET_LAST_HANDSHAKES_MS + 300,
    EXTRA_MS = 6000,
    LEASE_TIMEOUT_US = 500000,
};

/* Only the first reason counts. */
static void note_reason(struct server *server, const char *why)
{
    if (server->end_reason != NULL)
        return;
    server->end_reason = why;
    service_stopping(server->service);
    server->ending_since_ms = clock_monotonic_ms();
}

/* --- Ending --- */

static void on_lease_released(void *arg)
{
    const struct server *server = arg;
    event_base_loopbreak(server->base);
}

static void on_lease_timeout(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    on_lease_released(arg);
}

void drain_finish(struct server *server, const char *why)
{
    static const struct timeval timeout = {0, LEASE_TIMEOUT_US};
    note_reason(server, why);
    if (server->releasing_lease ||
        membership_leave(server->membership, on_lease_released, server) != 0) {
        on_lease_released(server);
        return;
    }
    server->releasing_lease = true;
    event_base_once(server->base, -1, EV_TIMEOUT, on_lease_timeout, server, &timeout);
}

/* --- Draining --- */

static void on_drain_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    const struct drain *drain = &server->drain;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= drain->close_ms)
        listener_close(server->listener);
    bool empty = sessions_drain_tick(server->sessions) && now_ms >= drain->min_end_ms;
    if (!empty && now_ms < drain->max_end_ms)
        return;
    event_del(drain->tick);
    drain_finish(server, NULL);
}

static void stop_serving(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval often = {0, TICK_US};
    struct server *server = arg;
    struct drain *drain = &server->drain;
    int64_t now_ms = clock_monotonic_ms();
    drain->close_ms = now_ms + LISTEN_SOCKET_LAST_HANDSHAKES_MS;
    drain->min_end_ms = now_ms + MIN_DRAIN_MS;
    drain->max_end_ms = now_ms + (int64_t)server->config->drain * 1000 + EXTRA_MS;
    http_server_drain(server->http);
    listener_reject(server->listener);
    sessions_drain(server->sessions);
    drain->tick = event_new(server->base, -1, EV_PERSIST, on_drain_tick, server);
    event_add(drain->tick, &often);
}

void drain_begin(struct server *server, bool delayed, const char *why)
{
    const struct timeval delay = {(time_t)server->config->drain_delay, 0};
    note_reason(server, why);
    if (drain_has_begun(&server->drain))
        return;
    server->drain.began_ms = clock_monotonic_ms();
    log_write(server->log, &(struct log_line){.kind = "drain", .message = "going away"});
    server->site.draining = true;
    membership_drain(server->membership);
    if (delayed && delay.tv_sec > 0)
        event_base_once(server->base, -1, EV_TIMEOUT, stop_serving, server, &delay);
    else
        stop_serving(-1, 0, server);
}

bool drain_has_begun(const struct drain *drain)
{
    return drain->began_ms != 0;
}

bool drain_is_fresh(const struct drain *drain)
{
    return drain_has_begun(drain) && clock_monotonic_ms() - drain->began_ms < MIN_DRAIN_MS;
}
