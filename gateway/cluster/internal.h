/* What failure_detector.c (who is dead) and reaper.c (taking its members off) share. */
#ifndef YUKIZURI_CLUSTER_INTERNAL_H
#define YUKIZURI_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "base/text.h"
#include "broker/broker.h"

struct failure_detector {
    struct broker *broker;
    struct redis *redis;
    struct metrics *metrics;
    struct log *log;
    const struct config *config;
    char lease_ms[TEXT_NUMBER_BYTES];
    struct event *timer;
    struct link suspects;
    int64_t polled_ms;
    size_t given_up;  /* nodes of Redis, at the last poll */
    bool was_healthy; /* at the last poll: the grace begins when Redis is again, not a poll earlier
                       */
    bool repair_logged;
    bool pubsub_logged; /* that another gateway's channels are of the other kind */
    unsigned polls;
    int64_t reset_ms; /* when leases last showed nothing; 0: never */
    /* --- An earlier incarnation of ours --- */
    int64_t own_since_ms;  /* when the grace of an earlier incarnation began */
    bool own_dropped;      /* a successor has our id */
    size_t own_reapings;   /* of an earlier incarnation, under way */
    struct link own_rooms; /* its rooms, still to be looked through */
};

#endif
