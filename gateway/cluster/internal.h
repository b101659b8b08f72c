/* What cluster/failure_detector.c (who is dead) and cluster/reaper.c (taking its members off)
 * share. */
#ifndef YUKIZURI_CLUSTER_INTERNAL_H
#define YUKIZURI_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "cluster/failure_detector.h"

enum { BURIAL_STALE_MS = 1000 };

struct burials {
    struct bus *bus;
    struct log *log;
    const struct config *config;
    struct event *timer;
    struct link suspects;
    int64_t started_ms;
    int64_t polled_ms;
    int64_t held_ms; /* when an earlier life of ours was last at work; 0: never */
    bool flowed; /* at the last poll: the grace begins when it does again, and not a poll earlier */
    bool mended_told;
    unsigned polls;
    bool own_stopped;       /* a successor has our id */
    int64_t doubted_ms;     /* when leases last proved nothing; 0: never */
    size_t own_burials;     /* of ours, under way */
    struct link own_graves; /* rooms of our own earlier life, still to be looked through */
};

/* This process may itself have been stopped meanwhile: what an old answer says is not so any more.
 */
bool burial_is_stale(int64_t asked_ms);

/* Tries to get the burial of this gateway for us, and carries it out. Our own id means our earlier
 * life: the rooms in own_graves. `stopped`: it has not died, and nobody need be warned. */
void burial_claim(struct burials *burials, const char *id, bool stopped);

/* Says once in the log that keys broken by hand are written anew, or end. */
void burial_tell_mended(struct burials *burials, const char *key);

/* Forgets the rooms of our own earlier life. */
void graves_free_own(struct burials *burials);

#endif
