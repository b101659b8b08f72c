/* rate: a token bucket. */
#ifndef YUKIZURI_RATE_H
#define YUKIZURI_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
    double per_second; /* 0: no limit */
    double burst;
};

struct rate {
    float tokens;
    uint32_t at_ms; /* low bits of the monotonic clock: wraps after 49 days, harmlessly */
};

/* A full bucket. */
struct rate rate_new(const struct rate_limit *limit, int64_t now_ms);

/* Takes one token; false when there is none. */
bool rate_take(struct rate *rate, const struct rate_limit *limit, int64_t now_ms);

/* Seconds until the next token, at least a tenth. */
double rate_wait(const struct rate *rate, const struct rate_limit *limit);

#endif
