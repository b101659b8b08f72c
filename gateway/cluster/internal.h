/* What cluster/failure_detector.c (who is dead) and cluster/reaper.c (taking its members off)
 * share. */
#ifndef YUKIZURI_CLUSTER_INTERNAL_H
#define YUKIZURI_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "cluster/failure_detector.h"

enum { REAPER_STALE_MS = 1000 };

struct failure_detector {
    struct broker *broker;
    struct log *log;
    const struct config *config;
    struct event *timer;
    struct link suspects;
    int64_t started_ms;
    int64_t polled_ms;
    int64_t held_ms; /* when an earlier life of ours was last at work; 0: never */
    bool flowed; /* at the last poll: the grace begins when it does again, and not a poll earlier */
    bool repair_logged;
    unsigned polls;
    bool own_stopped;      /* a successor has our id */
    int64_t reset_ms;      /* when leases last proved nothing; 0: never */
    size_t own_reapings;   /* of ours, under way */
    struct link own_rooms; /* rooms of our own earlier incarnation, still to be looked through */
};

/* This process may itself have been stopped meanwhile: what an old answer says is not so any more.
 */
bool failure_detector_is_stale(int64_t asked_ms);

/* Tries to get the reaping of this gateway for us, and carries it out. Our own id means our earlier
 * incarnation: the rooms in own_rooms. `stopped`: it has not died, and nobody need be warned. */
void reaper_claim(struct failure_detector *detector, const char *id, bool stopped);

/* Says once in the log that keys broken by hand are written anew, or end. */
void failure_detector_log_repair(struct failure_detector *detector, const char *key);

/* Forgets the rooms of our own earlier incarnation. */
void reaper_free_own(struct failure_detector *detector);

#endif
