#include "base/cores.h"

#include <sched.h>
#include <stddef.h>
#include <unistd.h>

enum { MOST_CORES = 8192 }; /* as many as Linux can be built for */

long cores_allowed(void)
{
    long count = 0;
    size_t size = CPU_ALLOC_SIZE(MOST_CORES);
    cpu_set_t *set = CPU_ALLOC(MOST_CORES);
    if (set != NULL && sched_getaffinity(0, size, set) == 0)
        count = CPU_COUNT_S(size, set);
    CPU_FREE(set);
    if (count < 1)
        count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 1 ? count : 1;
}
