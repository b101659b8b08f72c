/* What failure_detector.c (who is dead) and reaper.c (taking its members off) share. */
#ifndef YUKIZURI_CLUSTER_INTERNAL_H
#define YUKIZURI_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "broker/broker.h"

struct failure_detector {
    struct broker *broker;
    struct redis *redis;
    struct log *log;
    const struct config *config;
    struct event *timer;
    struct link suspects;
    int64_t started_ms;
    int64_t polled_ms;
    int64_t held_ms;  /* when an earlier incarnation of ours was last at work; 0: never */
    bool was_healthy; /* at the last poll: the grace begins when Redis is again, not a poll earlier
                       */
    bool repair_logged;
    unsigned polls;
    int64_t reset_ms; /* when leases last showed nothing; 0: never */
    /* --- reaper.c's own --- */
    bool own_dropped;      /* a successor has our id */
    size_t own_reapings;   /* of an earlier incarnation, under way */
    struct link own_rooms; /* its rooms, still to be looked through */
};

#endif
