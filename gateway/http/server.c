#include "http/server.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/wheel.h"
#include "websocket/connections.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_server {
    struct http_server_options options;
    struct http_clients clients;
};

static uint32_t now_s(void)
{
    return (uint32_t)(clock_monotonic_ms() / 1000);
}

/* --- Who is let in --- */

/* Without keeping anything of it. What has come is read first: closing would reset the connection
 * else, and the answer would be lost. */
static void reject(struct http_server *server, int fd, int status)
{
    recv(fd, server->clients.scratch, server->options.config->max_head, MSG_DONTWAIT);
    response_send_bare(fd, status);
    close(fd);
}

/* For a newcomer when there are as many sockets as there can be: somebody who rests can come again.
 */
static bool find_descriptor(struct http_server *server)
{
    uint64_t sockets = server->clients.count + connections_count(server->options.connections);
    if (sockets < server->options.max_sockets)
        return true;
    if (list_is_empty(&server->clients.idle))
        return false;
    http_client_drop_idlest(&server->clients);
    return true;
}

/* Sockets that are no WebSockets are counted by peer: of a trusted proxy, which has many clients,
 * none. */
static bool count_peer(struct http_server *server, const struct address *peer, bool *counted)
{
    *counted = !client_address_is_trusted(server->options.addresses, peer);
    return !*counted || quota_take(server->clients.quota, peer);
}

void http_server_accept(struct http_server *server, int fd, const struct address *peer)
{
    bool counted;
    if (!find_descriptor(server)) {
        refusals_note(server->options.refusals, REFUSAL_DESCRIPTORS, NULL);
        reject(server, fd, 503);
    } else if (!count_peer(server, peer, &counted)) {
        client_address_note_refused(server->options.addresses, peer);
        reject(server, fd, 429);
    } else {
        http_client_open(&server->clients, fd, peer, counted);
    }
}

/* --- Life --- */

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *server = memory_new(sizeof *server);
    const struct config *config = options->config;
    uint64_t longest_s = HTTP_CLIENT_LONGEST_S;
    if (config->keep_alive >= longest_s)
        longest_s = config->keep_alive + 1;
    server->options = *options;
    server->clients = (struct http_clients){
        .poller = options->poller,
        .config = config,
        .metrics = options->metrics,
        .refusals = options->refusals,
        .on_request = options->on_request,
        .arg = options->arg,
        .wheel = wheel_new((unsigned)longest_s, now_s()),
        .quota = quota_new(config->max_connections_per_address),
        .scratch = memory_new(config->max_head + 1),
    };
    list_init(&server->clients.idle);
    return server;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    wheel_empty(server->clients.wheel, http_client_drop);
    wheel_free(server->clients.wheel);
    quota_free(server->clients.quota);
    free(server->clients.scratch);
    free(server);
}

void http_server_tick(struct http_server *server)
{
    wheel_advance(server->clients.wheel, now_s(), http_client_on_deadline);
}

void http_server_drain(struct http_server *server)
{
    server->clients.draining = true;
}

size_t http_server_count_clients(const struct http_server *server)
{
    return server->clients.count;
}
