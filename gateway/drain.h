/* drain: how a gateway goes away. /readyz says 503 at once; newcomers are let in for as long as
 * `drain-delay` says, until balancers have looked; then the listeners close, members are told to
 * reconnect, spread over `drain`, and when all are gone, or their time is over, the process ends.
 */
#ifndef YUKIZURI_DRAIN_H
#define YUKIZURI_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct server;

/* Zero when made. */
struct drain {
    struct event *tick;
    int64_t began_ms; /* 0: not yet */
    int64_t close_ms; /* of the listeners, whose last handshakes are complete then */
    int64_t min_end_ms, max_end_ms;
};

/* Begins, because of `why` (static); `delayed`: with `drain-delay`, without it at once. Nothing
 * when it has begun. */
void drain_begin(struct server *server, bool delayed, const char *why);

/* Ends the process, because of `why` (static; NULL: of what began the drain): once the lease is
 * given back, or Redis has not answered in time. A second call ends it at once. */
void drain_finish(struct server *server, const char *why);

bool drain_has_begun(const struct drain *drain);

/* Has it begun within the last half second? A signal that was sent to a whole group of processes,
 * and passed on by one of them, may come a second time then. */
bool drain_is_fresh(const struct drain *drain);

#endif
