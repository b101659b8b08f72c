/* failure_detector: finds gateways whose lease has run out, and has the reaper take their members
 * off. Part of `membership`. */
#ifndef YUKIZURI_CLUSTER_FAILURE_DETECTOR_H
#define YUKIZURI_CLUSTER_FAILURE_DETECTOR_H

#include "broker/broker.h"

struct event_base;
struct failure_detector;
struct metrics;

struct failure_detector *failure_detector_new(struct event_base *base, struct broker *broker,
                                              struct metrics *metrics, struct log *log);

/* An earlier incarnation is still at work, and has its members: the grace before they are taken off
 * begins when this was last called. */
void failure_detector_hold_own(struct failure_detector *detector);

/* Leases show nothing at the moment: Redis is away or takes no writes, or this process was
 * stopped. Whoever is suspected is so no longer, and gets the whole grace from when its key is
 * missing again. */
void failure_detector_reset(struct failure_detector *detector);

/* Redis' replies must have come or been failed before (broker_free). */
void failure_detector_free(struct failure_detector *detector);

#endif
