#include "http/ops.h"

#include "base/clock.h"
#include "base/file_limit.h"
#include "base/memory.h"
#include "http/client_address.h"
#include "http/pages.h"
#include "http/server.h"
#include "session/sessions.h"
#include "websocket/connections.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_ROOMS = METRICS_ROOMS * 2 };

/* --- Readiness --- */

const char *ops_why_not_ready(const struct http_site *site)
{
    const char *why = site->draining ? "draining: this gateway is going away"
                                     : broker_why_not_ready(site->broker);
    if (why == NULL)
        why = sessions_why_closed(site->sessions);
    return why;
}

void ops_answer_ready(const struct http_site *site, struct response *response)
{
    const char *why = ops_why_not_ready(site);
    if (why != NULL)
        response_say(response, 503, why);
    else
        response_say(response, 200, "OK");
}

/* --- Metrics --- */

static bool may_operate(const struct http_site *site, const struct http_call *call)
{
    const struct config_blocks *allowed = &site->config->ops_allow_blocks;
    struct client_address client =
        client_address_find(site->addresses, call->peer, call->peer_is_hidden, call->request);
    if (!client.believable)
        return false;
    /* somebody on a unix socket without a forwarding header is on this machine */
    return client.address.local_socket ||
           address_in_blocks(&client.address, allowed->items, allowed->count);
}

/* Has it answered, since only operators may read this? */
static bool refuse_others(const struct http_site *site, const struct http_call *call)
{
    if (may_operate(site, call))
        return false;
    response_say(call->response, 403, "Only operators may read this; see ops-allow.");
    return true;
}

static int compare_members(const void *a, const void *b)
{
    const struct metrics_room *left = a;
    const struct metrics_room *right = b;
    return (left->members < right->members) - (left->members > right->members);
}

/* The biggest rooms. Keeps twice as many as wanted and sorts when that is full. */
static size_t find_biggest_rooms(const struct http_site *site, struct metrics_room out[MAX_ROOMS])
{
    size_t count = 0;
    const struct room *room;
    for (size_t at = 0; (room = rooms_next(sessions_rooms(site->sessions), &at)) != NULL;) {
        if (!room_is_open(room))
            continue;
        if (count == MAX_ROOMS) {
            qsort(out, count, sizeof *out, compare_members);
            count = METRICS_ROOMS;
        }
        out[count++] = (struct metrics_room){room_name(room), room_members_here(room)};
    }
    qsort(out, count, sizeof *out, compare_members);
    return count < METRICS_ROOMS ? count : METRICS_ROOMS;
}

static uint64_t find_resident_bytes(void)
{
    unsigned long long size = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What is read only when somebody asks. */
static void set_gauges(const struct http_site *site)
{
    struct metrics *metrics = site->metrics;
    metrics->ready = ops_why_not_ready(site) == NULL;
    metrics->draining = site->draining;
    metrics->redis_refuses = broker_why_refused(site->broker) != NULL;
    metrics->log_dropped = log_dropped(site->log);
    metrics->max_descriptors = file_limit_get();
    metrics->max_connections = site->max_connections;
    metrics->unsent = connections_unsent(site->connections);
    metrics->descriptors = file_limit_in_use(http_server_count_clients(site->server) +
                                             connections_count(site->connections));
}

/* Behind a balancer each answer may be another gateway's. */
static void add_headers(const struct http_site *site, struct response *response)
{
    struct text lines = TEXT_EMPTY;
    text_add_string(&lines, "Cache-Control: no-store\r\nYukizuri-Gateway: ");
    for (const char *at = site->config->gateway_id; *at != '\0'; at++)
        if ((unsigned char)*at < 0x80 && *at != '%')
            text_add(&lines, at, 1);
        else
            text_print(&lines, "%%%02X", (unsigned char)*at);
    text_add_string(&lines, "\r\n");
    response_add_headers(response, lines.data);
    text_done(&lines);
}

typedef void render_fn(const struct metrics *, const struct metrics_moment *, struct text *);

static void answer_metrics_as(const struct http_site *site, const struct http_call *call,
                              const char *type, render_fn *render)
{
    struct metrics_room rooms[MAX_ROOMS];
    struct text body = TEXT_EMPTY;
    if (refuse_others(site, call))
        return;
    struct metrics_moment moment = {
        .gateway = site->config->gateway_id,
        .version = YUKIZURI_VERSION,
        .cpu_us = clock_process_cpu_us(),
        .now_ms = clock_wall_ms(),
        .resident_bytes = find_resident_bytes(),
        .rooms = rooms,
        .room_count = find_biggest_rooms(site, rooms),
    };
    moment.has_memory = memory_read_figures(&moment.memory) == 0;
    set_gauges(site);
    render(site->metrics, &moment, &body);
    response_begin(call->response, 200);
    add_headers(site, call->response);
    response_end_text(call->response, type, body.data, body.len);
    text_done(&body);
}

void ops_answer_metrics(const struct http_site *site, const struct http_call *call)
{
    answer_metrics_as(site, call, "text/plain; version=0.0.4; charset=utf-8",
                      metrics_render_prometheus);
}

void ops_answer_stats(const struct http_site *site, const struct http_call *call)
{
    answer_metrics_as(site, call, "application/json", metrics_render_json);
}

void ops_answer_status(const struct http_site *site, const struct http_call *call)
{
    if (!refuse_others(site, call))
        pages_answer(site->pages, "status", call->request, call->response);
}
