/* upgrade: the handshake from HTTP to WebSocket (RFC 6455 section 4.2.2): who is allowed, and how
 * the socket goes to its session, or to the echo endpoint. Owns nothing. */
#ifndef YUKIZURI_HTTP_UPGRADE_H
#define YUKIZURI_HTTP_UPGRADE_H

#include "http/client.h"
#include "http/site.h"

/* Checks and performs an upgrade for this room, a valid name (NULL: for the echo endpoint). Makes
 * the response that refuses it, and returns false; or has taken the socket and queued its answer,
 * and returns true. May call the callbacks of the new connection. */
bool upgrade_answer(const struct http_site *site, const struct http_call *call, const char *room);

#endif
