/* given_sockets: which addresses the service manager's listening sockets have (base/service).
 * Part of `listen_socket`. Owns nothing. */
#ifndef YUKIZURI_HTTP_GIVEN_SOCKETS_H
#define YUKIZURI_HTTP_GIVEN_SOCKETS_H

#include "base/service.h"
#include "config/config.h"

/* Makes config->addr name them all: in place of the default, or beside what somebody chose. 0; or
 * -1 with a sentence in `error`. */
int given_sockets_announce(const struct service_sockets *given, struct config *config, char *error,
                           size_t error_size);

/* The one with that address, spelled as announced; -1: there is none. `given` NULL is none. */
int given_sockets_find(const struct service_sockets *given, const struct listen_address *address);

#endif
