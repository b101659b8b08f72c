#include "fake_clock.h"

#include "clock.h"

static int64_t passed_ms = 1000000;

void fake_clock_pass_ms(int64_t ms)
{
    passed_ms += ms;
}

int64_t clock_monotonic_ms(void)
{
    return passed_ms;
}

int64_t clock_monotonic_us(void)
{
    return passed_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return 1700000000000 + passed_ms;
}

int64_t clock_process_cpu_us(void)
{
    return passed_ms;
}
