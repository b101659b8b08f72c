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
    struct link overdue; /* clients whose deadline has passed, on no wheel; the first comes next */
    struct link idle;    /* clients between two requests, the longest idle first */
    size_t count;
    char *scratch; /* one read, of max-head bytes */
    bool draining; /* each connection ends with its answer */
};

/* Has the quota count one more socket of the peer. It does not count a trusted proxy, which has
 * many clients: `counted` is false then. Returns false, and notes it, when there are too many. */
bool http_server_count_peer(struct http_server *server, const struct address *peer, bool *counted);

#endif
