/* router: which path gives what: pages, what operators ask, the WebSockets of rooms and of the echo
 * endpoint. Judges the method and the path, and answers itself where that is all there is to say.
 * Owns nothing but itself. */
#ifndef YUKIZURI_HTTP_ROUTER_H
#define YUKIZURI_HTTP_ROUTER_H

#include "http/upgrade.h"

struct ops;
struct router;

/* All of these must outlive it. */
struct router_options {
    const struct config *config; /* room, echo-path */
    struct ops *ops;
    struct upgrade_options upgrade;
};

struct router *router_new(const struct router_options *options);

/* NULL is fine. */
void router_free(struct router *router);

/* For http_server_callbacks.on_request: answers, or takes the socket and returns true. */
bool router_answer(const struct router *router, const struct http_call *call);

#endif
