/* poller: which client sockets are ready; epoll itself, because a connection of libevent costs 170
 * bytes and a queue operation for each readiness, and a gateway has many thousands of them.
 *
 * One epoll set, which the event loop watches as one descriptor. Owns the set; not the sockets, nor
 * the watches in it: those are parts of an HTTP client (http/client.c) or a connection
 * (websocket/internal.h). Level-triggered. A callback may free its own watch (after poller_watch
 * with nothing wanted), but no other one. */
#ifndef YUKIZURI_WEBSOCKET_POLLER_H
#define YUKIZURI_WEBSOCKET_POLLER_H

#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct poller;

/* Part of whatever waits for a socket; zero when made. */
struct watch {
    /* `ready` is some of POLLER_READ, POLLER_WRITE; a broken socket is reported as both. With
     * POLLER_ENDED the peer sends no more than is there to be read. */
    void (*on_ready)(struct watch *watch, unsigned ready);
};

enum { POLLER_READ = 1, POLLER_WRITE = 2, POLLER_ENDED = 4 /* comes with POLLER_READ */ };

/* `metrics` must outlive it. */
struct poller *poller_new(struct event_base *base, struct metrics *metrics);

void poller_free(struct poller *poller);

/* Serves those that are ready, for a millisecond at most: their on_ready is called from here alone.
 */
void poller_read(struct poller *poller);

/* Waits for what is in `wanted` from now on, instead of what is in `before`; 0 is nothing, and then
 * the poller has no pointer to the watch. Does nothing when they are the same. Returns 0, or -1
 * when the kernel has no memory to watch one more: nothing has changed then. */
int poller_watch(struct poller *poller, int fd, struct watch *watch, unsigned before,
                 unsigned wanted);

/* Did the time that an iteration of the loop has for reading end before all ready sockets were
 * served? Tells of the latest iteration in which some were ready. */
bool poller_is_behind(const struct poller *poller);

#endif
