/* upgrade: the handshake, from HTTP to WebSocket (RFC 6455 section 4.2.2): who may, and how the
 * socket goes to its session, or to the echo endpoint. Owns nothing. */
#ifndef YUKIZURI_HTTP_UPGRADE_H
#define YUKIZURI_HTTP_UPGRADE_H

#include "http/client.h"
#include "http/client_address.h"

struct quota;
struct sessions;

/* What a handshake needs; all of it outlives each call. */
struct upgrade_options {
    const struct config *config; /* origin */
    struct client_addresses *addresses;
    struct connections *connections;
    struct sessions *sessions;
    struct quota *quota; /* of WebSockets of an address; a session gives it back */
    struct metrics *metrics;
    struct refusals *refusals;
    uint64_t max_connections; /* the setting, bounded by the file limit */
};

/* Judges and performs an upgrade for this room, a fair name (NULL: for the echo endpoint). Makes
 * the response that refuses it, and returns false; or has taken the socket and queued its answer,
 * and returns true. May call back whom a new connection's first bytes concern. */
bool upgrade_answer(const struct upgrade_options *options, const struct http_call *call,
                    const char *room);

#endif
