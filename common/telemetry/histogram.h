/* histogram: how long something took, counted in fixed buckets from 50 microseconds to 10 seconds,
 * the same for everything that is measured. No memory of its own: a struct of plain numbers, zero
 * when made. Does not measure; whoever adds has read the clock. */
#ifndef YUKIZURI_TELEMETRY_HISTOGRAM_H
#define YUKIZURI_TELEMETRY_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 17 };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* not cumulative; the last is of what took longer */
    uint64_t count;
    uint64_t sum_us;
};

/* What is below 0 (two clocks that do not agree) counts as 0. */
void histogram_add(struct histogram *histogram, int64_t us);

/* The longest that a bucket counts, in microseconds; `bucket` is below HISTOGRAM_BUCKETS. */
int64_t histogram_bound_us(size_t bucket);

/* So much of all (0 to 1) took no longer than this, about: within its bucket everything is taken to
 * be spread evenly. 0 when there is nothing; the longest bound for what is beyond. Microseconds. */
double histogram_quantile_us(const struct histogram *histogram, double quantile);

#endif
