#include "telemetry/histogram.h"

static const int64_t bounds_us[HISTOGRAM_BUCKETS] = {
    50,    100,    250,    500,    1000,    2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void histogram_add(struct histogram *histogram, int64_t us)
{
    size_t bucket = 0;
    if (us < 0)
        us = 0;
    while (bucket < HISTOGRAM_BUCKETS && us > bounds_us[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->count++;
    histogram->sum_us += (uint64_t)us;
}

int64_t histogram_bound_us(size_t bucket)
{
    return bounds_us[bucket];
}

double histogram_quantile_us(const struct histogram *histogram, double quantile)
{
    double wanted = quantile * (double)histogram->count;
    double below = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double here = (double)histogram->counts[i];
        double from = i == 0 ? 0 : (double)bounds_us[i - 1];
        if (here > 0 && below + here >= wanted)
            return from + ((double)bounds_us[i] - from) * (wanted - below) / here;
        below += here;
    }
    return histogram->count == 0 ? 0 : (double)bounds_us[HISTOGRAM_BUCKETS - 1];
}
