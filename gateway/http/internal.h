/* http_internal: what http/server.c (the socket), http/router.c (the answers) and http/upgrade.c
 * (the handshake) share. Nobody else includes it. */
#ifndef YUKIZURI_HTTP_INTERNAL_H
#define YUKIZURI_HTTP_INTERNAL_H

#include "base/list.h"
#include "base/text.h"
#include "base/wheel.h"
#include "http/response.h"
#include "http/server.h"
#include "protocol/http_request.h"
#include "websocket/poller.h"

struct http {
    struct http_options options;
    struct wheel *wheel; /* of all clients: their deadlines */
    struct quota *quota; /* of peers: sockets that are no WebSockets yet */
    struct link idle;    /* who is between two requests; the first has been for longest */
    bool leaving;        /* a drain was announced */
    bool draining;
    size_t client_count;
    char *scratch; /* one read, of max-head bytes */
};

struct http_client {
    struct watch watch;
    struct http *http;
    struct link on_wheel;
    struct link in_idle;
    struct address peer;
    int fd;
    unsigned watched; /* what the poller waits for */
    char *in;         /* the beginning of a head, NULL while nothing is there */
    size_t in_len;
    struct response response; /* the answer, while there is one */
    bool counted;             /* by the quota of peers */
    bool answering;
    bool answered;  /* a request on it was answered */
    bool unseen;    /* `in` holds what nobody has looked at */
    bool lingering; /* all sent; what still comes is dropped */
};

/* Answers a request. Returns true when the client's socket was handed over: the client is gone. */
bool http_route(struct http_client *client, struct http_request *request, const char *early,
                size_t early_len);

/* Judges and performs an upgrade for this room (NULL: the echo endpoint). As http_route. */
struct http_upgrade {
    const struct http_request *request;
    const char *room;
    const char *early;
    size_t early_len;
};
bool http_upgrade(struct http_client *client, const struct http_upgrade *upgrade);

/* Forgets the client and gives its socket away. */
int http_release(struct http_client *client);

#endif
