/* listener: accepts connections: when, how many at a time, and how the sockets are closed without a
 * reset for those who have just connected. Owns the listening sockets, and no accepted one. */
#ifndef YUKIZURI_HTTP_LISTENER_H
#define YUKIZURI_HTTP_LISTENER_H

#include "config/address.h"
#include "config/config.h"
#include "telemetry/refusals.h"

#include <stdbool.h>
#include <stddef.h>

struct listener;
struct event_base;

/* All of it must outlive the listener. */
struct listener_options {
    struct event_base *base;
    const struct config *config; /* addr, addr-mode, worker-addr */
    const struct service_sockets *given;
    bool shared; /* others may listen there, too */
    /* Somebody has connected; the non-blocking socket is the callee's. `proxied`: there a PROXY
     * header comes before all else (?proxy=on). */
    void (*on_accept)(void *arg, int fd, const struct address *address, bool proxied);
    /* Is there so much to do that only one is to be accepted in this iteration of the loop? */
    bool (*is_busy)(void *arg);
    /* Accepting pauses, and who connects waits in the kernel's queue: this is why. */
    void (*on_full)(void *arg, enum refusal reason);
    void *arg;
};

/* Opens the addresses. Nobody is accepted yet. NULL when one cannot be opened; `error` says which
 * and why. */
struct listener *listener_open(const struct listener_options *options, char *error,
                               size_t error_size);

/* Accepts from now on; in half a second at the latest; not until the next call of these. */
void listener_enable(struct listener *listener);
void listener_enable_later(struct listener *listener);
void listener_disable(struct listener *listener);

/* Those who want to connect are to try elsewhere (listen_socket_reject). Does it once: afterwards a
 * path may be a successor's. */
void listener_reject(struct listener *listener);

/* Rejects, accepts who waits in the queues, whom closing would reset, and closes the sockets. Does
 * it once. */
void listener_close(struct listener *listener);

/* Rejects and closes what is still open. Calls nobody back. NULL is fine. */
void listener_free(struct listener *listener);

#endif
