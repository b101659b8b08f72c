#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t machine_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void machine_fail(const char *what)
{
    perror(what);
    exit(1);
}
