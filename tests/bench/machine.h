/* machine: the clock of the machine that a benchmark runs on, and its end when that fails it. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdint.h>

/* The monotonic clock, in microseconds. */
int64_t machine_now_us(void);

/* There is no socket, or no memory: says so with errno's words, and ends the program. */
_Noreturn void machine_fail(const char *what);

#endif
