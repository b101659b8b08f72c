/* clock: the two clocks in use. Durations are measured on the monotonic one only. */
#ifndef YUKIZURI_BASE_CLOCK_H
#define YUKIZURI_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment; never goes back. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/* Milliseconds since 1970, as this machine believes. */
int64_t clock_wall_ms(void);

/* CPU time of this process in microseconds. */
int64_t clock_process_cpu_us(void);

#endif
