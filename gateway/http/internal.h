/* What the clients of an HTTP server share: for http/server.c, which makes it, and http/client.c.
 */
#ifndef YUKIZURI_HTTP_INTERNAL_H
#define YUKIZURI_HTTP_INTERNAL_H

#include "base/list.h"
#include "config/quota.h"
#include "http/server.h"

struct http_server {
    struct http_server_options options;
    struct wheel *wheel; /* all clients: their deadlines */
    struct quota *quota; /* of sockets that are no WebSockets yet, by peer */
    struct link idle;    /* clients between two requests, the longest idle first */
    size_t count;
    char *scratch; /* one read, of max-head bytes */
    bool draining; /* each connection ends with its answer */
};

#endif
