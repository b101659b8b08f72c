/* handshake: judges an upgrade request (RFC 6455 section 4.2) and computes its accept key. */
#ifndef YUKIZURI_PROTOCOL_HANDSHAKE_H
#define YUKIZURI_PROTOCOL_HANDSHAKE_H

#include "protocol/http_request.h"

#include <stdbool.h>
#include <stddef.h>

enum { HANDSHAKE_ACCEPT_BYTES = 29 }; /* 28 characters of base64 and the NUL */

/* The HTTP status that answers this request: 101 when it is a good WebSocket handshake, 400 for a
 * malformed one, 405 for a method that is neither GET nor HEAD, 426 for no upgrade or another
 * version. HEAD never upgrades. */
int handshake_judge(const struct http_request *request);

/* May a page of this origin connect (RFC 6455 section 10.2)? `allowed` are settings that
 * origin_judge found good; with none, only an origin of the host that the request is for. No
 * Origin header (not a browser) is fine; "*" allows all. */
bool handshake_origin_allowed(const struct http_request *request, char *const *allowed, size_t n);

/* Sec-WebSocket-Accept for this Sec-WebSocket-Key (section 4.2.2). */
void handshake_accept(const char *key, char out[HANDSHAKE_ACCEPT_BYTES]);

#endif
