/* drain: everybody is sent to another gateway, a few at a time. */
#ifndef YUKIZURI_SESSION_DRAIN_H
#define YUKIZURI_SESSION_DRAIN_H

#include "session/sessions.h"

#include <stdbool.h>
#include <stdint.h>

/* Tells everybody to come back through the balancer, spread over `drain` seconds. */
void sessions_drain(struct sessions *all);

/* To be called often while draining; true when nobody is left. */
bool sessions_drain_tick(struct sessions *all);

/* So many connections were asked to move; so many of them had to be closed, as they had not gone by
 * themselves when it was time; so many are there still, and nobody has closed them. */
struct sessions_moves {
    uint64_t asked, closed, left;
};
struct sessions_moves sessions_moves(struct sessions *all);

#endif
