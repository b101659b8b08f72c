/* echo: the diagnostic endpoint that sends every message back, for conformance suites. */
#ifndef YUKIZURI_WEBSOCKET_ECHO_H
#define YUKIZURI_WEBSOCKET_ECHO_H

#include "websocket/connection.h"

/* Takes the upgraded socket over. */
struct connection *echo_open(struct connections *all, int fd);

#endif
