/* router: which path gives what: pages, health, readiness, metrics, the WebSockets of rooms and of
 * the echo endpoint. Checks the method and the path, and answers itself what is wrong with them.
 * Owns nothing. */
#ifndef YUKIZURI_HTTP_ROUTER_H
#define YUKIZURI_HTTP_ROUTER_H

#include "http/client.h"
#include "http/site.h"

/* For http_server_options.on_request: answers, or takes the socket and returns true. */
bool router_answer(const struct http_site *site, const struct http_call *call);

#endif
