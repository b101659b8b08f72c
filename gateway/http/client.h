/* http_client: one socket that speaks HTTP/1.1 (RFC 9112): request heads without bodies in, answers
 * out in order, and its timeouts. Answers by itself what is malformed, too long or too slow; every
 * other request goes to on_request. Knows no path.
 *
 * A client owns its socket until that is taken for something else, or the client ends; then it is
 * freed. An idle client owns no buffer; nobody's head is longer than `max-head`. */
#ifndef YUKIZURI_HTTP_CLIENT_H
#define YUKIZURI_HTTP_CLIENT_H

#include "base/list.h"
#include "config/address.h"
#include "http/response.h"
#include "protocol/http_request.h"

struct http_client;
struct http_server;

enum { HTTP_CLIENT_MAX_WAIT_S = 60 }; /* of all waits but `keep-alive` */

/* A request, and what is to be answered. All of it is good during on_request alone. */
struct http_call {
    struct http_client *client;   /* for http_client_take_socket */
    const struct address *peer;   /* who is connected, or whom its PROXY header names */
    bool peer_is_hidden;          /* the header names nobody: the peer is the proxy */
    struct http_request *request; /* without a body */
    const char *early;            /* what has come after the head */
    size_t early_len;
    struct response *response; /* to be made; its keep_alive and is_head are set */
    bool must_move;            /* a drain is under way, and this client was answered already: it can
                                  come to another gateway */
};

/* Takes over an accepted, non-blocking socket. `proxied`: a PROXY header comes before anything
 * else, and says who the peer is; until then it is not counted. Otherwise `counted`: the quota has
 * counted it, and gets it back. May answer at once, and so be gone when this returns. */
void http_client_open(struct http_server *server, int fd, const struct address *peer, bool counted,
                      bool proxied);

/* From on_request: forgets the client, and its socket is the caller's. Of the call, `client`,
 * `peer` and `response` end with it. */
int http_client_take_socket(struct http_client *client);

/* For the wheel: the client's deadline has passed. Puts it among those that are overdue. */
void http_client_note_deadline(struct link *on_wheel);

/* Takes it from there, and answers 408, or drops it. */
void http_client_on_deadline(struct link *on_wheel);

/* Drops a client, and closes its socket: one on the wheel, or overdue; the one that has been idle
 * for longest, of which there must be one. */
void http_client_drop(struct link *on_wheel);
void http_client_drop_longest_idle(struct http_server *server);

#endif
