/* burial: finds gateways whose lease has run out, and takes their members off the lists. Part of
 * `presence`. Any number of gateways may try at once: the claim keeps the work to one, the script
 * keeps each name to one. A burial that is interrupted is taken up again by somebody. */
#ifndef YUKIZURI_CLUSTER_FAILURE_DETECTOR_H
#define YUKIZURI_CLUSTER_FAILURE_DETECTOR_H

#include "broker/broker.h"

struct event_base;
struct burials;

struct burials *burials_new(struct event_base *base, struct bus *bus, struct log *log);

/* The rooms of an earlier life of this gateway, under the same id: their members are taken off
 * after the grace, but for those who have come back by then. Nobody else would do it: this gateway
 * lives. Takes the place of what was noted and is not under way. */
void burials_note_own(struct burials *burials, const struct redis_reply *rooms);

/* Are there rooms of an earlier life that are still to be looked through? */
bool burials_have_own(const struct burials *burials);

/* An earlier life is still at work, and has its members: the grace begins when this was last
 * called.
 */
void burials_hold_own(struct burials *burials);

/* A successor has our id: whoever is not of this life may be of that one. For good. */
void burials_stop_own(struct burials *burials);

/* Leases prove nothing at the moment: Redis is away or takes no writes, or this process was
 * stopped. Whoever is suspected is so no longer, and gets the whole grace from when its key is
 * missing again. */
void burials_doubt(struct burials *burials);

/* Redis' replies must have come or been failed before (bus_free). */
void burials_free(struct burials *burials);

#endif
