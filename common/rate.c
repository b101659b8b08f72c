#include "rate.h"

struct rate rate_new(const struct rate_limit *limit, int64_t now_ms)
{
    return (struct rate){.tokens = (float)limit->burst, .at_ms = (uint32_t)now_ms};
}

bool rate_take(struct rate *rate, const struct rate_limit *limit, int64_t now_ms)
{
    if (limit->per_second <= 0)
        return true;
    uint32_t passed_ms = (uint32_t)now_ms - rate->at_ms;
    double tokens = (double)rate->tokens + passed_ms / 1000.0 * limit->per_second;
    if (tokens > limit->burst)
        tokens = limit->burst;
    bool taken = tokens >= 1;
    rate->tokens = (float)(taken ? tokens - 1 : tokens);
    rate->at_ms = (uint32_t)now_ms;
    return taken;
}

double rate_wait(const struct rate *rate, const struct rate_limit *limit)
{
    if (limit->per_second <= 0)
        return 0;
    double wait = (1 - (double)rate->tokens) / limit->per_second;
    return wait < 0.1 ? 0.1 : wait;
}
