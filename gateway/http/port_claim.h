/* port_claim: the ports of several workers that have a private Redis. They share their ports
 * with each other (SO_REUSEPORT), and the kernel would let another chat's workers share them as
 * well: people would be in one chat or in the other, as it comes. So whoever starts the workers
 * claims the ports for all of them. Part of `supervisor`. */
#ifndef YUKIZURI_HTTP_PORT_CLAIM_H
#define YUKIZURI_HTTP_PORT_CLAIM_H

#include "config/config.h"
#include "http/listen_socket.h"

#include <stddef.h>

struct port_claim {
    int fds[CONFIG_ADDRESSES * LISTEN_SOCKET_FDS];
    size_t count;
};

/* Sees that nobody listens on any `addr`, and that nobody else who keeps to this will. 0; or -1
 * with a sentence in `error`, nothing being claimed then. */
int port_claim_acquire(const struct config *config, struct port_claim *out, char *error,
                       size_t error_size);

/* A child lets go of them as well: they end with the last process that has them. */
void port_claim_release(struct port_claim *claim);

#endif
