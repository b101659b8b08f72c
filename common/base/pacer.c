#include "base/pacer.h"

int64_t pace_spend(struct pace *pace, const struct pace_limit *limit, int64_t now_us,
                   int64_t cost_us)
{
    if (pace->paid_until_us < now_us)
        pace->paid_until_us = now_us;
    int64_t latest_us = now_us + limit->credit_us + limit->longest_us;
    pace->paid_until_us += cost_us * limit->share;
    if (pace->paid_until_us > latest_us)
        pace->paid_until_us = latest_us;
    int64_t wait_us = pace->paid_until_us - now_us - limit->credit_us;
    return wait_us > 0 ? wait_us : 0;
}

int64_t pace_share(int64_t share, int64_t processes, int64_t cores)
{
    return processes > cores ? (share * processes + cores - 1) / cores : share;
}
