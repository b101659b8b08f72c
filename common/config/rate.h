/* rate: two token buckets that fill together: one for what is said, asked for, or makes no sense;
 * one for the signs of life (pings, pongs, typing), which has never less than a client needs that
 * pings and types as often as it should. Who writes as fast as it may has its signs besides. */
#ifndef YUKIZURI_CONFIG_RATE_H
#define YUKIZURI_CONFIG_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum rate_kind { RATE_WORDS, RATE_SIGNS, RATE_KINDS };

enum { RATE_SIGNS_LEAST = 2, RATE_SIGNS_LEAST_BURST = 10 }; /* a second; at once */

struct rate_limit {
    double per_second; /* 0: no limit */
    double burst;
};

struct rate {
    float tokens[RATE_KINDS];
    uint32_t at_ms; /* low bits of the monotonic clock: wraps after 49 days, harmlessly */
};

/* Full buckets. */
struct rate rate_new(const struct rate_limit *limit, int64_t now_ms);

/* Takes one token; false when there is none. */
bool rate_take(struct rate *rate, const struct rate_limit *limit, enum rate_kind kind,
               int64_t now_ms);

/* Seconds until the next token for words, at least a tenth. */
double rate_wait(const struct rate *rate, const struct rate_limit *limit);

#endif
