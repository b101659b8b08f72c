#include "drain.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cluster/membership.h"
#include "config/config.h"
#include "http/listen_socket.h"
#include "http/listener.h"
#include "http/ops.h"
#include "http/server.h"
#include "session/drain.h"
#include "telemetry/log.h"

#include <event2/event.h>
#include <stdlib.h>

enum {
    TICK_US = 50000,
    LEAST_MS =
        LISTEN_SOCKET_LAST_HANDSHAKES_MS + 300, /* for requests of who came at the last moment */
    EXTRA_MS = 6000,
};

struct drain {
    struct drain_options options;
    struct event *delay, *last_handshakes, *tick;
    int64_t began_ms; /* 0: not yet */
    int64_t least_ms, end_ms;
};

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct drain *drain = arg;
    int64_t now_ms = clock_monotonic_ms();
    bool empty = sessions_drain_tick(drain->options.sessions) && now_ms >= drain->least_ms;
    if (!empty && now_ms < drain->end_ms)
        return;
    event_del(drain->tick);
    drain->options.on_over(drain->options.arg);
}

static void on_last_handshakes(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    const struct drain *drain = arg;
    listener_close(drain->options.listener, true);
}

/* From now on nobody new comes, and who is here goes. */
static void send_away(struct drain *drain)
{
    static const struct timeval often = {0, TICK_US};
    static const struct timeval handshakes = {0, LISTEN_SOCKET_LAST_HANDSHAKES_MS * 1000};
    const struct drain_options *options = &drain->options;
    int64_t now_ms = clock_monotonic_ms();
    drain->least_ms = now_ms + LEAST_MS;
    drain->end_ms = now_ms + (int64_t)options->config->drain * 1000 + EXTRA_MS;
    http_server_drain(options->http);
    listener_reject(options->listener);
    sessions_drain(options->sessions);
    event_add(drain->last_handshakes, &handshakes);
    event_add(drain->tick, &often);
}

static void on_delay_over(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    send_away(arg);
}

void drain_begin(struct drain *drain, bool delayed)
{
    const struct drain_options *options = &drain->options;
    const struct timeval delay = {(time_t)options->config->drain_delay, 0};
    if (drain_has_begun(drain))
        return;
    drain->began_ms = clock_monotonic_ms();
    log_write(options->log, &(struct log_line){.kind = "drain", .message = "going away"});
    ops_announce_drain(options->ops);
    presence_drain(options->presence);
    if (delayed && delay.tv_sec > 0)
        event_add(drain->delay, &delay);
    else
        send_away(drain);
}

bool drain_has_begun(const struct drain *drain)
{
    return drain->began_ms != 0;
}

bool drain_is_fresh(const struct drain *drain)
{
    return drain_has_begun(drain) && clock_monotonic_ms() - drain->began_ms < LEAST_MS;
}

struct drain *drain_new(const struct drain_options *options)
{
    struct drain *drain = memory_new(sizeof *drain);
    drain->options = *options;
    drain->delay = evtimer_new(options->base, on_delay_over, drain);
    drain->last_handshakes = evtimer_new(options->base, on_last_handshakes, drain);
    drain->tick = event_new(options->base, -1, EV_PERSIST, on_tick, drain);
    return drain;
}

void drain_free(struct drain *drain)
{
    if (drain == NULL)
        return;
    event_free(drain->delay);
    event_free(drain->last_handshakes);
    event_free(drain->tick);
    free(drain);
}
