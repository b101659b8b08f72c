/* reaper: takes the members of dead gateways off the lists, room by room; and those of an earlier
 * incarnation of this gateway. Any number of gateways may try at once: the claim keeps the work to
 * one, the script keeps each name to one. A reaping that is interrupted is taken up again by
 * somebody. Part of `membership`; what it has of its own is in `failure_detector`. */
#ifndef YUKIZURI_CLUSTER_REAPER_H
#define YUKIZURI_CLUSTER_REAPER_H

#include "redis/client.h"

enum { REAPER_STALE_MS = 1000 };

struct failure_detector;

/* Is an answer to what was asked then too old? This process may itself have been stopped meanwhile,
 * and what the answer says is not so any more. */
bool reaper_is_stale(int64_t asked_ms);

/* Tries to get the reaping of this gateway for us, and carries it out. Our own id means our earlier
 * incarnation. `left`: it gave its lease back, and nobody need be warned. */
void reaper_claim(struct failure_detector *detector, const char *id, bool left);

/* A key that somebody has made by hand gets an end, should it have none: a lease later. `done` is
 * told 1 when it had none. */
void reaper_expire(struct failure_detector *detector, const char *key, redis_done done);

/* The rooms of an earlier incarnation of this gateway: their members are taken off after the grace,
 * but for those who have come back by then. Nobody else would do it: this gateway lives. Replaces
 * what was noted and is not under way. */
void reaper_note_own(struct failure_detector *detector, const struct redis_reply *rooms);

/* Are there such rooms that are still to be looked through? */
bool reaper_have_own(const struct failure_detector *detector);

/* A successor has our id: whoever is not of this incarnation may be of that one. For good. */
void reaper_drop_own(struct failure_detector *detector);

#endif
