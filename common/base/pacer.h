/* pace: how often something dear may happen, so that all of it takes but a share of the time.
 *
 * It only reckons; whoever asks waits by itself. */
#ifndef YUKIZURI_BASE_PACER_H
#define YUKIZURI_BASE_PACER_H

#include <stdint.h>

struct pace_limit {
    int64_t share;      /* one part of the time in so many */
    int64_t longest_us; /* nothing waits longer, whatever it costs */
    int64_t credit_us;  /* so much may be unpaid before anything waits */
};

/* Zero when made. */
struct pace {
    int64_t paid_until_us; /* what has happened is paid for then */
};

/* Something happens now and takes `cost_us`. Returns in how many microseconds the next may happen:
 * when of this and all before it no more than the credit is unpaid. What would be unpaid after
 * `longest_us` all the same is forgiven. */
int64_t pace_spend(struct pace *pace, const struct pace_limit *limit, int64_t now_us,
                   int64_t cost_us);

/* The share of each of `processes` that pace themselves on `cores`, so that together they take one
 * part in `share` of the cores' time. */
int64_t pace_share(int64_t share, int64_t processes, int64_t cores);

#endif
