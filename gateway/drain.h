/* drain: how a gateway goes away: what is told to whom, and in which order. /readyz says 503 at
 * once; newcomers are let in for as long as `drain-delay` says, until balancers have looked; then
 * nobody is listened for, members are sent elsewhere, spread over `drain`, and when all are gone,
 * or had their time, the process ends. */
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
    int64_t least_ms, end_ms;
};

/* Begins; `delayed`: with `drain-delay`, without it at once. Nothing when it has begun. */
void drain_begin(struct server *server, bool delayed);

bool drain_has_begun(const struct drain *drain);

/* Has it begun only just? A signal that was sent to a whole group of processes, and passed on by
 * one of them, may come a second time then. */
bool drain_is_fresh(const struct drain *drain);

#endif
