/* failure_detector: finds gateways whose lease has run out, and takes their members off the lists.
 * Part of `presence`. Any number of gateways may try at once: the claim keeps the work to one, the
 * script keeps each name to one. A reaping that is interrupted is taken up again by somebody. */
#ifndef YUKIZURI_CLUSTER_FAILURE_DETECTOR_H
#define YUKIZURI_CLUSTER_FAILURE_DETECTOR_H

#include "broker/broker.h"

struct event_base;
struct failure_detector;

struct failure_detector *failure_detector_new(struct event_base *base, struct broker *broker,
                                              struct log *log);

/* The rooms of an earlier life of this gateway, under the same id: their members are taken off
 * after the grace, but for those who have come back by then. Nobody else would do it: this gateway
 * lives. Takes the place of what was noted and is not under way. */
void failure_detector_note_own(struct failure_detector *detector, const struct redis_reply *rooms);

/* Are there rooms of an earlier life that are still to be looked through? */
bool failure_detector_have_own(const struct failure_detector *detector);

/* An earlier life is still at work, and has its members: the grace begins when this was last
 * called.
 */
void failure_detector_hold_own(struct failure_detector *detector);

/* A successor has our id: whoever is not of this life may be of that one. For good. */
void failure_detector_stop_own(struct failure_detector *detector);

/* Leases prove nothing at the moment: Redis is away or takes no writes, or this process was
 * stopped. Whoever is suspected is so no longer, and gets the whole grace from when its key is
 * missing again. */
void failure_detector_reset(struct failure_detector *detector);

/* Redis' replies must have come or been failed before (broker_free). */
void failure_detector_free(struct failure_detector *detector);

#endif
