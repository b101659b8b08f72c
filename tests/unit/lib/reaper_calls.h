/* What is asked of Redis when the members of a dead gateway are taken off, here or an earlier
 * incarnation of this one: over a world (world.h). */
#ifndef YUKIZURI_UNIT_REAPER_CALLS_H
#define YUKIZURI_UNIT_REAPER_CALLS_H

#include "fake_redis.h"
#include "world.h"

#define GATEWAYS "yukizuri:gateways"
#define LOBBY    "yukizuri:{lobby}:members"

enum {
    POLL_MS = 1000, /* at most so long until it is looked who lives */
    FIRST_NAME = 9, /* argument of reap.lua */
};

/* The lease that is asked for is ours, and is kept from here on. */
void take_lease(void);

/* The members of this room of a gateway are taken off: these. */
struct fake_redis_call *await_reap(const char *channel, const char *id);

/* Those of the call; NULL: there is no second one. */
void expect_names(const struct fake_redis_call *call, const char *first, const char *second);

#endif
