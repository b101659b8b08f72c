/* http_server: all clients that speak HTTP: which accepted sockets are served, and their deadlines.
 * What one of them sends and gets is http/client's; on_request makes the answers.
 *
 * Owns the clients, and what they share. Knows no path, no session and no Redis. */
#ifndef YUKIZURI_HTTP_SERVER_H
#define YUKIZURI_HTTP_SERVER_H

#include "config/config.h"
#include "telemetry/refusals.h"

struct client_addresses;
struct connections;
struct http_call;
struct http_server;
struct poller;

/* All of these must outlive it. */
struct http_server_options {
    struct poller *poller;
    const struct config *config; /* keep-alive, max-head, max-connections-per-address */
    struct client_addresses *addresses;
    const struct connections *connections; /* they have sockets, too */
    struct metrics *metrics;
    struct refusals *refusals;
    uint64_t max_sockets; /* of clients of any kind: what the file limit allows */
    /* Makes the response and returns false; or takes the socket and returns true. */
    bool (*on_request)(void *arg, const struct http_call *call);
    void *arg;
};

struct http_server *http_server_new(const struct http_server_options *options);

/* Closes the sockets of all clients. Calls nobody back. NULL is fine. */
void http_server_free(struct http_server *server);

/* To be called once a second: finds the deadlines that have passed, and enforces some. */
void http_server_tick(struct http_server *server);

/* To be called in each iteration of the loop: enforces the passed deadlines, for a millisecond at
 * most. Those who connected together are late together, and members are not to wait for that. */
void http_server_enforce(struct http_server *server);

/* Are there passed deadlines that are not enforced yet? */
bool http_server_is_behind(const struct http_server *server);

/* Takes over an accepted, non-blocking socket; refuses it, 503 or 429, where there are too many.
 * `proxied`: a PROXY header comes first (protocol/proxy_header), and says who the peer is. May call
 * back at once. */
void http_server_accept(struct http_server *server, int fd, const struct address *peer,
                        bool proxied);

/* From here on each connection ends with its answer. */
void http_server_drain(struct http_server *server);

/* Clients, each with a socket. */
size_t http_server_count_clients(const struct http_server *server);

#endif
