#include "histogram.h"

enum { SUB_BITS = 5, SUB_BUCKETS = 1 << SUB_BITS };

/* Values below 64 have a bucket each; above, the top six bits choose it. */
static int bucket_of(uint64_t value)
{
    int shift = value < 2 * SUB_BUCKETS ? 0 : 63 - SUB_BITS - __builtin_clzll(value);
    int bucket = (shift << SUB_BITS) + (int)(value >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t value_of(int bucket)
{
    int shift = bucket < 2 * SUB_BUCKETS ? 0 : (bucket >> SUB_BITS) - 1;
    return (uint64_t)(bucket - (shift << SUB_BITS)) << shift;
}

void histogram_add(struct histogram *histogram, int64_t microseconds)
{
    histogram->counts[bucket_of(microseconds < 0 ? 0 : (uint64_t)microseconds)]++;
    histogram->total++;
}

double histogram_ms(const struct histogram *histogram, double share)
{
    uint64_t below = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram->counts[i];
        if (below > 0 && (double)below >= share * (double)histogram->total)
            return (double)value_of(i) / 1000.0;
    }
    return 0;
}
