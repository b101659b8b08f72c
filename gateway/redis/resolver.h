/* resolver: host names to addresses, with getaddrinfo in a thread of its own, which shares nothing
 * with the loop (docs/decisions/0002-no-evdns.md). Part of `redis`. */
#ifndef YUKIZURI_REDIS_RESOLVER_H
#define YUKIZURI_REDIS_RESOLVER_H

#include "config/redis_url.h"

#include <sys/socket.h>

struct event_base;
struct resolution;

struct resolver_answer {
    int error;        /* of getaddrinfo; 0: the address is good */
    int system_error; /* errno, where it was the system that failed; else 0 */
    socklen_t len;
    struct sockaddr_storage address;
};

/* Starts to resolve the host and port of `url`. `index`, modulo their number, chooses among several
 * addresses: increment it from attempt to attempt. `done` is called once from the event loop; the
 * resolution is then gone. NULL when it cannot be started: no descriptor, or no thread, is to be
 * had (errno). */
struct resolution *resolver_start(struct event_base *base, const struct redis_url *url,
                                  unsigned index,
                                  void (*done)(void *arg, const struct resolver_answer *answer),
                                  void *arg);

/* Forgets it: `done` is not called. NULL is fine. */
void resolver_cancel(struct resolution *resolution);

#endif
