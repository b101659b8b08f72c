/* echo: the diagnostic endpoint that sends every message back, for conformance suites. */
#ifndef YUKIZURI_WEBSOCKET_ECHO_H
#define YUKIZURI_WEBSOCKET_ECHO_H

struct connection;
struct connections;

/* Takes the upgraded socket over; the connection belongs to `all`. */
struct connection *echo_open(struct connections *all, int fd);

#endif
