/* http_server: all clients that speak HTTP: which of those who are accepted are let in, and when
 * they have waited for too long. What one of them sends and gets is http/client's; what is answered
 * is the business of whoever is called back.
 *
 * Owns the clients, and what they share. Knows no path, no session and no Redis. */
#ifndef YUKIZURI_HTTP_SERVER_H
#define YUKIZURI_HTTP_SERVER_H

#include "http/client.h"
#include "http/client_address.h"

struct http_server *http_server_new(const struct http_server_options *options);

/* Closes the sockets of all clients. Calls nobody back. NULL is fine. */
void http_server_free(struct http_server *server);

/* To be called once a second: answers 408, or drops, those who let it take too long. */
void http_server_tick(struct http_server *server);

/* Takes over an accepted, non-blocking socket; refuses it, 503 or 429, where there are too many.
 * May call back at once. */
void http_server_accept(struct http_server *server, int fd, const struct address *peer);

/* From here on each connection ends with its answer. */
void http_server_drain(struct http_server *server);

/* Clients, each with a socket. */
size_t http_server_count_clients(const struct http_server *server);

#endif
