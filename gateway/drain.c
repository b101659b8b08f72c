#include "drain.h"

#include "base/clock.h"
#include "http/listen_socket.h"
#include "server_internal.h"
#include "session/drain.h"

#include <event2/event.h>

enum {
    TICK_US = 50000,
    LEAST_MS =
        LISTEN_SOCKET_LAST_HANDSHAKES_MS + 300, /* for requests of who came at the last moment */
    EXTRA_MS = 6000,
};

static void on_drain_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct server *server = arg;
    const struct drain *drain = &server->drain;
    int64_t now_ms = clock_monotonic_ms();
    bool empty = sessions_drain_tick(server->sessions) && now_ms >= drain->least_ms;
    if (!empty && now_ms < drain->end_ms)
        return;
    event_del(drain->tick);
    server_finish(server, NULL);
}

static void on_last_handshakes(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    const struct server *server = arg;
    listener_close(server->listener, true);
}

/* From now on nobody new comes, and who is here goes. */
static void send_away(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval often = {0, TICK_US};
    static const struct timeval handshakes = {0, LISTEN_SOCKET_LAST_HANDSHAKES_MS * 1000L};
    struct server *server = arg;
    struct drain *drain = &server->drain;
    int64_t now_ms = clock_monotonic_ms();
    drain->least_ms = now_ms + LEAST_MS;
    drain->end_ms = now_ms + (int64_t)server->config->drain * 1000 + EXTRA_MS;
    http_server_drain(server->http);
    listener_reject(server->listener);
    sessions_drain(server->sessions);
    event_base_once(server->base, -1, EV_TIMEOUT, on_last_handshakes, server, &handshakes);
    drain->tick = event_new(server->base, -1, EV_PERSIST, on_drain_tick, server);
    event_add(drain->tick, &often);
}

void drain_begin(struct server *server, bool delayed)
{
    const struct timeval delay = {(time_t)server->config->drain_delay, 0};
    if (drain_has_begun(&server->drain))
        return;
    server->drain.began_ms = clock_monotonic_ms();
    log_write(server->log, &(struct log_line){.kind = "drain", .message = "going away"});
    server->site.leaving = true;
    presence_drain(server->presence);
    if (delayed && delay.tv_sec > 0)
        event_base_once(server->base, -1, EV_TIMEOUT, send_away, server, &delay);
    else
        send_away(-1, 0, server);
}

bool drain_has_begun(const struct drain *drain)
{
    return drain->began_ms != 0;
}

bool drain_is_fresh(const struct drain *drain)
{
    return drain_has_begun(drain) && clock_monotonic_ms() - drain->began_ms < LEAST_MS;
}
