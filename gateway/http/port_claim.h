/* port_claim: the ports of several workers that have a private Redis. They share their ports with
 * each other (SO_REUSEPORT), and the kernel would let another chat's workers share them as well:
 * people would be in one chat or in the other at random. So the supervisor claims the ports for all
 * its workers. */
#ifndef YUKIZURI_HTTP_PORT_CLAIM_H
#define YUKIZURI_HTTP_PORT_CLAIM_H

#include "config/config.h"
#include "http/listen_socket.h"

#include <stddef.h>

struct port_claim {
    int fds[CONFIG_ADDRESSES * LISTEN_SOCKET_FDS];
    size_t count;
};

/* Checks that nobody but the service manager listens on any `addr`, and that no other supervisor
 * has claimed it. 0; or -1 with a sentence in `error`, nothing being claimed then. */
int port_claim_acquire(const struct config *config, const struct service_sockets *given,
                       struct port_claim *out, char *error, size_t error_size);

/* To be called in each child as well: a claim ends with the last process that has it. */
void port_claim_release(struct port_claim *claim);

#endif
