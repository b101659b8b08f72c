/* grace_clock: a clock that stands still while Redis is away: nobody can come back then, so that
 * time does not count for the grace. */
#ifndef YUKIZURI_SESSION_GRACE_CLOCK_H
#define YUKIZURI_SESSION_GRACE_CLOCK_H

#include "session/internal.h"

/* In ms. */
int64_t session_grace_clock(const struct sessions *all);

/* To be called once a second: is Redis there? After a long outage keys may have run out unseen, and
 * all rosters are read again. */
void session_grace_clock_tick(struct sessions *all);

#endif
