/* The answers: which path gives what. */
#include "http/internal.h"

#include "base/clock.h"
#include "base/file_limit.h"
#include "http/pages.h"
#include "protocol/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROOMS = METRICS_ROOMS * 2 };

static bool may_operate(struct http_client *client, const struct http_request *request)
{
    struct http *http = client->http;
    const struct config_blocks *allowed = &http->options.config->ops_allow_blocks;
    struct client_address origin =
        client_address_find(http->options.addresses, &client->peer, request);
    if (!origin.believable)
        return false;
    /* somebody on a unix socket without a forwarding header is on this machine */
    return origin.address.local_socket ||
           address_in_blocks(&origin.address, allowed->items, allowed->count);
}

/* --- Operators --- */

static void healthz(struct http_client *client)
{
    response_say(&client->response, 200, "OK");
}

/* NULL, or a sentence: why nobody should be sent here. */
static const char *why_not_ready(const struct http *http)
{
    const char *why = http->leaving ? "draining: this gateway is going away"
                                    : bus_why_not_ready(http->options.bus);
    if (why == NULL)
        why = sessions_why_closed(http->options.sessions);
    return why;
}

static void readyz(struct http_client *client)
{
    const char *why = why_not_ready(client->http);
    if (why != NULL)
        response_refuse(&client->response, 503, why);
    else
        healthz(client);
}

static int by_members(const void *a, const void *b)
{
    const struct metrics_room *left = a;
    const struct metrics_room *right = b;
    return (left->members < right->members) - (left->members > right->members);
}

/* The biggest rooms. Keeps twice as many as wanted and sorts when that is full. */
static size_t biggest_rooms(struct http *http, struct metrics_room out[MOST_ROOMS])
{
    size_t count = 0;
    const struct room *room;
    for (size_t at = 0; (room = rooms_next(sessions_rooms(http->options.sessions), &at)) != NULL;) {
        if (!room_is_open(room))
            continue;
        if (count == MOST_ROOMS) {
            qsort(out, count, sizeof *out, by_members);
            count = METRICS_ROOMS;
        }
        out[count++] = (struct metrics_room){room_name(room), room_members_here(room)};
    }
    qsort(out, count, sizeof *out, by_members);
    return count < METRICS_ROOMS ? count : METRICS_ROOMS;
}

static uint64_t resident_bytes(void)
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

/* What is looked for when somebody asks. */
static void note_gauges(const struct http *http)
{
    struct metrics *metrics = http->options.metrics;
    metrics->ready = why_not_ready(http) == NULL;
    metrics->draining = http->leaving;
    metrics->redis_refuses = bus_why_refused(http->options.bus) != NULL;
    metrics->log_dropped = log_dropped(http->options.log);
    metrics->max_descriptors = file_limit_get();
    metrics->descriptors =
        file_limit_in_use(http->client_count + connections_count(http->options.connections));
}

static void figures(struct http_client *client, const struct http_request *request, bool json)
{
    struct http *http = client->http;
    struct metrics_room rooms[MOST_ROOMS];
    struct text body = TEXT_EMPTY;
    if (!may_operate(client, request)) {
        response_refuse(&client->response, 403, "Only operators may read this; see ops-allow.");
        return;
    }
    struct metrics_moment moment = {
        .gateway = http->options.config->gateway_id,
        .version = YUKIZURI_VERSION,
        .cpu_us = clock_process_cpu_us(),
        .now_ms = clock_wall_ms(),
        .resident_bytes = resident_bytes(),
        .rooms = rooms,
        .room_count = biggest_rooms(http, rooms),
    };
    note_gauges(http);
    if (json)
        metrics_render_json(http->options.metrics, &moment, &body);
    else
        metrics_render_prometheus(http->options.metrics, &moment, &body);
    response_begin(&client->response, 200);
    response_add_headers(&client->response, "Cache-Control: no-store\r\n");
    response_end_text(&client->response,
                      json ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
                      body.data, body.len);
    text_done(&body);
}

/* --- Paths --- */

/* Is `path` "/PREFIX" or "/PREFIX/NAME"? */
static bool is_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The judged room's name of "/PREFIX/NAME"; the default without NAME. Refuses, and says which names
 * are fair, where that is none. */
static bool take_room(struct http_client *client, const char *path, char *out)
{
    const char *slash = strchr(path + 1, '/');
    const char *name = slash == NULL ? client->http->options.config->room : slash + 1;
    if (name_judge_room(name, strlen(name), out) == NAME_OK)
        return true;
    response_refuse(&client->response, 404,
                    "There is no such room: a room's name is " NAME_ROOM_RULE ".");
    return false;
}

static bool is_path(const struct http_request *request, const char *path)
{
    return strcmp(request->path, path) == 0;
}

static bool route_simple(struct http_client *client, const struct http_request *request)
{
    if (is_path(request, "/"))
        pages_answer_index(request, &client->response);
    else if (strncmp(request->path, "/assets/", 8) == 0)
        pages_answer_asset(request, &client->response);
    else if (is_path(request, "/healthz") || is_path(request, "/heartbeat"))
        healthz(client);
    else if (is_path(request, "/readyz"))
        readyz(client);
    else if (is_path(request, "/metrics"))
        figures(client, request, false);
    else if (is_path(request, "/api/stats"))
        figures(client, request, true);
    else
        return false;
    return true;
}

static void answer_options(struct http_client *client)
{
    response_begin(&client->response, 204);
    response_add_headers(&client->response, "Allow: GET, HEAD, OPTIONS\r\n");
    response_end_empty(&client->response);
}

/* Is it answered without looking at the path? */
static bool route_method(struct http_client *client, const struct http_request *request)
{
    if (is_path(request, "*"))
        answer_options(client);
    else if (strcmp(request->method, "GET") != 0 && !client->response.is_head)
        response_refuse(&client->response, 405, "Only GET and HEAD are answered here.");
    else if (strcasestr(request->path, "%2f") ==
                 NULL && /* it separates nothing, and is in no path */
             http_request_decode(request->path) < 0)
        response_refuse(
            &client->response, 400,
            "In the path, % must be followed by two hexadecimal digits that are not 00.");
    else
        return false;
    return true;
}

/* The page of a room, or its WebSocket. */
static bool route_room(struct http_client *client, struct http_upgrade *upgrade)
{
    char room[NAME_BYTES];
    const char *path = upgrade->request->path;
    bool is_socket = is_below(path, "/room");
    if (!is_socket && strncmp(path, "/r/", 3) != 0) {
        response_refuse(&client->response, 404, "There is nothing here.");
        return false;
    }
    if (!take_room(client, path, room))
        return false;
    if (!is_socket) {
        pages_answer_index(upgrade->request, &client->response);
        return false;
    }
    upgrade->room = room;
    return http_upgrade(client, upgrade);
}

bool http_route(struct http_client *client, struct http_request *request, const char *early,
                size_t early_len)
{
    const char *echo = client->http->options.config->echo_path;
    struct http_upgrade upgrade = {request, NULL, early, early_len};
    if (route_method(client, request) || route_simple(client, request))
        return false;
    if (echo != NULL && is_path(request, echo))
        return http_upgrade(client, &upgrade);
    return route_room(client, &upgrade);
}
