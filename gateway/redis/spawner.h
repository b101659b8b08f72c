/* spawner: makes keepers for a gateway that may make no process itself, because its sandbox forbids
 * it, and what it forbids, it forbids every descendant. The spawner is forked off before and is not
 * in the sandbox. It does nothing but wait for a request, which has no words but the deaths that
 * the next keeper has to know of. Part of `embedded_redis`. */
#ifndef YUKIZURI_REDIS_SPAWNER_H
#define YUKIZURI_REDIS_SPAWNER_H

#include "redis/keeper.h"

#include <sys/types.h>

struct spawner {
    pid_t pid;    /* 0: there is none */
    int requests; /* a socket: the spawner ends when it closes */
};

/* Forks it off: `job` is what its keepers do. 0; or -1 with errno. */
int spawner_start(struct spawner *spawner, const struct keeper *job);

/* A keeper, which is a child of the caller as if that had forked it. Waits for the spawner, for a
 * second at most. The keeper's pid; or -1 with errno. */
pid_t spawner_spawn(const struct spawner *spawner, const struct keeper_deaths *deaths);

/* Ends it. Does nothing where there is none. */
void spawner_stop(struct spawner *spawner);

#endif
