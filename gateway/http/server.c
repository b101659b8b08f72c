#include "http/server.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/wheel.h"
#include "http/client.h"
#include "http/client_address.h"
#include "http/internal.h"
#include "websocket/connections.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENFORCE_BUDGET_US = 1000 /* of an iteration */ };

static uint32_t now_s(void)
{
    return (uint32_t)(clock_monotonic_ms() / 1000);
}

/* --- Accepting --- */

/* Keeps no state. What has come is read first: closing would reset the connection else, and the
 * answer would be lost. */
static void reject_socket(struct http_server *server, int fd, int status)
{
    recv(fd, server->scratch, server->options.config->max_head, MSG_DONTWAIT);
    response_send_bare(fd, status);
    close(fd);
}

/* When the file limit is reached, an idle client is dropped: it can connect again. */
static bool make_room_for_socket(struct http_server *server)
{
    uint64_t sockets = server->count + connections_count(server->options.connections);
    if (sockets < server->options.max_sockets)
        return true;
    if (list_is_empty(&server->idle))
        return false;
    http_client_drop_longest_idle(server);
    return true;
}

bool http_server_count_peer(struct http_server *server, const struct address *peer, bool *counted)
{
    *counted = !client_address_is_trusted(server->options.addresses, peer);
    if (!*counted || quota_take(server->quota, peer))
        return true;
    *counted = false;
    client_address_note_refused(server->options.addresses, peer);
    return false;
}

void http_server_accept(struct http_server *server, int fd, const struct address *peer,
                        bool proxied)
{
    bool counted = false;
    if (!make_room_for_socket(server)) {
        refusals_note(server->options.refusals, REFUSAL_DESCRIPTORS, NULL);
        reject_socket(server, fd, 503);
    } else if (!proxied && !http_server_count_peer(server, peer, &counted)) {
        reject_socket(server, fd, 429);
    } else {
        http_client_open(server, fd, peer, counted, proxied);
    }
}

/* --- Making and freeing --- */

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *server = memory_new(sizeof *server);
    const struct config *config = options->config;
    uint64_t longest_s = HTTP_CLIENT_MAX_WAIT_S;
    if (config->keep_alive >= longest_s)
        longest_s = config->keep_alive + 1;
    server->options = *options;
    server->wheel = wheel_new((unsigned)longest_s, now_s());
    server->quota = quota_new(config->max_connections_per_address);
    server->scratch = memory_new(config->max_head + 1);
    list_init(&server->overdue);
    list_init(&server->idle);
    return server;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    wheel_empty(server->wheel, http_client_drop);
    while (!list_is_empty(&server->overdue))
        http_client_drop(server->overdue.next);
    wheel_free(server->wheel);
    quota_free(server->quota);
    free(server->scratch);
    free(server);
}

void http_server_tick(struct http_server *server)
{
    wheel_advance(server->wheel, now_s(), http_client_note_deadline);
    http_server_enforce(server);
}

void http_server_enforce(struct http_server *server)
{
    if (list_is_empty(&server->overdue))
        return;
    int64_t until_us = clock_monotonic_us() + ENFORCE_BUDGET_US;
    do
        http_client_on_deadline(server->overdue.next);
    while (!list_is_empty(&server->overdue) && clock_monotonic_us() < until_us);
}

bool http_server_is_behind(const struct http_server *server)
{
    return !list_is_empty(&server->overdue);
}

void http_server_drain(struct http_server *server)
{
    server->draining = true;
}

size_t http_server_count_clients(const struct http_server *server)
{
    return server->count;
}
