/* histogram: how often each latency was seen, in the manner of HdrHistogram: buckets whose width
 * doubles, 32 to each power of two, so that any value is known to 3 %. Fixed size, no allocation.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 40 * 32 };

struct histogram {
    uint64_t total;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, int64_t microseconds);

/* The latency that this share (0 to 1) of all stayed at or below; 0 when there is none. */
double histogram_ms(const struct histogram *histogram, double share);

#endif
