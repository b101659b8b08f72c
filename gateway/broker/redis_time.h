/* redis_time: what Redis' clock shows: asks for it (TIME) when it is told to. */
#ifndef YUKIZURI_BROKER_REDIS_TIME_H
#define YUKIZURI_BROKER_REDIS_TIME_H

#include "base/remote_clock.h"
#include "redis/client.h"

struct redis_time {
    struct redis *redis; /* must outlive its answers */
    struct remote_clock clock;
    int64_t asked_ms; /* 0: not under way */
};

/* One question at a time: does nothing while one is under way, or without a connection. */
void redis_time_ask(struct redis_time *time);

/* It may be another Redis: doubts what was known, and asks. */
void redis_time_ask_anew(struct redis_time *time);

#endif
