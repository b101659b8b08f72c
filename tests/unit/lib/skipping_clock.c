#include "skipping_clock.h"

#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

static int64_t skipped_us;
static bool stopped;
static int64_t stopped_us, stopped_wall_us; /* what the clocks showed then */

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_stop(void)
{
    stopped_us = read_us(CLOCK_MONOTONIC);
    stopped_wall_us = read_us(CLOCK_REALTIME);
    stopped = true;
}

void clock_skip_ms(int64_t ms)
{
    skipped_us += ms * 1000;
}

void clock_restart(void)
{
    stopped = false;
    skipped_us = 0;
}

int64_t clock_monotonic_us(void)
{
    return (stopped ? stopped_us : read_us(CLOCK_MONOTONIC)) + skipped_us;
}

int64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    return ((stopped ? stopped_wall_us : read_us(CLOCK_REALTIME)) + skipped_us) / 1000;
}

int64_t clock_process_cpu_us(void)
{
    return read_us(CLOCK_PROCESS_CPUTIME_ID);
}
