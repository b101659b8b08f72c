#include "skipping_clock.h"

#include "clock.h"

#include <time.h>

static int64_t skipped_ms;

void clock_skip_ms(int64_t ms)
{
    skipped_ms += ms;
}

void clock_skip_back(void)
{
    skipped_ms = 0;
}

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000 + skipped_ms;
}

int64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC) + skipped_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000 + skipped_ms;
}

int64_t clock_process_cpu_us(void)
{
    return read_us(CLOCK_PROCESS_CPUTIME_ID);
}
