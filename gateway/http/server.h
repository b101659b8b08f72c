/* http: everything before a connection is a WebSocket: pages, assets, health, metrics, and the
 * upgrade. A small HTTP/1.1 server of GET and HEAD without bodies, over
 * common/protocol/http_request.h.
 *
 * Owns a client's socket until it is upgraded: then the socket goes to `session` (or to the echo
 * endpoint) and the client is forgotten. An idle client owns no buffer. */
#ifndef YUKIZURI_HTTP_SERVER_H
#define YUKIZURI_HTTP_SERVER_H

#include "http/client_address.h"
#include "session/sessions.h"

struct http;
struct poller;

struct http_options {
    struct poller *poller;
    const struct config *config;
    struct client_addresses *addresses;
    struct bus *bus;
    struct connections *connections;
    struct sessions *sessions;
    struct quota *quota;
    struct metrics *metrics;
    struct refusals *refusals;
    struct log *log;
    uint64_t max_connections; /* the setting, bounded by the file limit */
    uint64_t max_sockets;     /* of clients of any kind: what the file limit allows */
};

struct http *http_new(const struct http_options *options);

/* Closes all clients that are not upgraded. NULL is fine. */
void http_free(struct http *http);

/* To be called once a second: answers 408, or drops, those who let it take too long. */
void http_tick(struct http *http);

/* Takes over an accepted, non-blocking socket. */
void http_accept(struct http *http, int fd, const struct address *peer);

/* From now on /readyz says 503: a drain is under way. Everybody is still served. */
void http_announce_drain(struct http *http);

/* And from now on each connection ends with its answer, and only who has just come may still
 * upgrade it: whoever has asked before can come to another gateway. */
void http_drain(struct http *http);

#endif
