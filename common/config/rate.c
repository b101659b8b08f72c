#include "config/rate.h"

/* The limit for one kind. */
static struct rate_limit limit_of(const struct rate_limit *limit, enum rate_kind kind)
{
    struct rate_limit own = *limit;
    if (kind == RATE_SIGNS && own.per_second < RATE_SIGNS_LEAST)
        own.per_second = RATE_SIGNS_LEAST;
    if (kind == RATE_SIGNS && own.burst < RATE_SIGNS_LEAST_BURST)
        own.burst = RATE_SIGNS_LEAST_BURST;
    return own;
}

struct rate rate_new(const struct rate_limit *limit, int64_t now_ms)
{
    struct rate rate = {.at_ms = (uint32_t)now_ms};
    for (int kind = 0; kind < RATE_KINDS; kind++)
        rate.tokens[kind] = (float)limit_of(limit, (enum rate_kind)kind).burst;
    return rate;
}

static void fill(struct rate *rate, const struct rate_limit *limit, int64_t now_ms)
{
    double passed_s = ((uint32_t)now_ms - rate->at_ms) / 1000.0;
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        struct rate_limit own = limit_of(limit, (enum rate_kind)kind);
        double tokens = (double)rate->tokens[kind] + passed_s * own.per_second;
        rate->tokens[kind] = (float)(tokens > own.burst ? own.burst : tokens);
    }
    rate->at_ms = (uint32_t)now_ms;
}

bool rate_take(struct rate *rate, const struct rate_limit *limit, enum rate_kind kind,
               int64_t now_ms)
{
    if (limit->per_second <= 0)
        return true;
    fill(rate, limit, now_ms);
    bool taken = rate->tokens[kind] >= 1;
    rate->tokens[kind] -= taken ? 1 : 0;
    return taken;
}

double rate_wait(const struct rate *rate, const struct rate_limit *limit)
{
    if (limit->per_second <= 0)
        return 0;
    double wait = (1 - (double)rate->tokens[RATE_WORDS]) / limit->per_second;
    return wait < 0.1 ? 0.1 : wait;
}
