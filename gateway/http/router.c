#include "http/router.h"

#include "http/about.h"
#include "http/ops.h"
#include "http/pages.h"
#include "http/upgrade.h"
#include "protocol/name.h"

#include <string.h>

static bool is_path(const struct http_call *call, const char *path)
{
    return strcmp(call->request->path, path) == 0;
}

/* Is `path` "/PREFIX" or "/PREFIX/NAME"? */
static bool is_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* --- By the method --- */

static void answer_options(struct response *response)
{
    response_begin(response, 204);
    response_add_headers(response, "Allow: GET, HEAD, OPTIONS\r\n");
    response_end_empty(response);
}

/* Decodes the path where it is one. An escaped slash separates nothing, and is in no path. */
static bool decode_path(const struct http_call *call)
{
    return strcasestr(call->request->path, "%2f") != NULL ||
           http_request_decode(call->request->path) >= 0;
}

/* Has it answered? */
static bool answer_method(const struct http_call *call)
{
    if (is_path(call, "*"))
        answer_options(call->response);
    else if (strcmp(call->request->method, "GET") != 0 && !call->response->is_head)
        response_say(call->response, 405, "Only GET and HEAD are answered here.");
    else if (!decode_path(call))
        response_say(call->response, 400,
                     "In the path, % must be followed by two hexadecimal digits that are not 00.");
    else
        return false;
    return true;
}

/* --- By the path --- */

/* Has it answered? */
static bool answer_path(const struct http_site *site, const struct http_call *call)
{
    if (is_path(call, "/"))
        pages_answer(site->pages, "index", call->request, call->response);
    else if (is_path(call, "/about"))
        pages_answer(site->pages, "about", call->request, call->response);
    else if (is_path(call, "/offline"))
        pages_answer(site->pages, "offline", call->request, call->response);
    else if (is_path(call, "/worker.js"))
        pages_answer_worker(site->pages, call->request, call->response);
    else if (strncmp(call->request->path, "/assets/", 8) == 0)
        pages_answer_asset(site->pages, call->request, call->response);
    else if (is_path(call, "/healthz") || is_path(call, "/heartbeat"))
        response_say(call->response, 200, "OK");
    else if (is_path(call, "/readyz"))
        ops_answer_ready(site, call->response);
    else if (is_path(call, "/metrics"))
        ops_answer_metrics(site, call);
    else if (is_path(call, "/api/stats"))
        ops_answer_stats(site, call);
    else if (is_path(call, "/status"))
        ops_answer_status(site, call);
    else if (is_path(call, "/api/about"))
        about_answer(site, call->response);
    else
        return false;
    return true;
}

/* The checked room name of "/PREFIX/NAME"; the default one without NAME. Answers 404, which says
 * what names are valid, and returns false when it is not. */
static bool find_room(const struct http_site *site, const struct http_call *call, char *out)
{
    const char *slash = strchr(call->request->path + 1, '/');
    const char *name = slash == NULL ? site->config->room : slash + 1;
    if (name_judge_room(name, strlen(name), out) == NAME_OK)
        return true;
    pages_answer_missing(site->pages, call->request, call->response,
                         "There is no such room: a room's name is " NAME_ROOM_RULE ".");
    return false;
}

/* The page of a room, or its WebSocket. */
static bool answer_room(const struct http_site *site, const struct http_call *call)
{
    char room[NAME_BYTES];
    bool is_socket = is_below(call->request->path, "/room");
    if (!is_socket && strncmp(call->request->path, "/r/", 3) != 0) {
        pages_answer_missing(site->pages, call->request, call->response, "There is nothing here.");
        return false;
    }
    if (!find_room(site, call, room))
        return false;
    if (is_socket)
        return upgrade_answer(site, call, room);
    pages_answer(site->pages, "index", call->request, call->response);
    return false;
}

bool router_answer(const struct http_site *site, const struct http_call *call)
{
    const char *echo = site->config->echo_path;
    if (answer_method(call) || answer_path(site, call))
        return false;
    if (echo != NULL && is_path(call, echo))
        return upgrade_answer(site, call, NULL);
    return answer_room(site, call);
}
