#include "base/memory.h"

#include "base/stderr_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef YUKIZURI_JEMALLOC
#include <jemalloc/jemalloc.h>
#include <stdint.h>

/* jemalloc reads it at the start. One thread does nearly everything, so one arena is enough. What
 * is large is not cached: pages of it would stay taken after a burst of people. */
const char *malloc_conf = "narenas:1,lg_tcache_max:12,dirty_decay_ms:1000";
#endif

void memory_run_out(void)
{
    stderr_line_print("out of memory");
    abort();
}

static void *check(void *memory)
{
    if (memory == NULL)
        memory_run_out();
    return memory;
}

void *memory_new(size_t size)
{
    return check(calloc(1, size));
}

void *memory_take(size_t size)
{
    return check(malloc(size));
}

void *memory_resize(void *old, size_t count, size_t size)
{
    return check(reallocarray(old, count, size));
}

char *memory_copy(const char *data, size_t len)
{
    char *copy = memory_take(len + 1);
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

char *memory_copy_string(const char *string)
{
    return string == NULL ? NULL : memory_copy(string, strlen(string));
}

void memory_decay(void)
{
#ifdef YUKIZURI_JEMALLOC
    mallctl("arena.0.decay", NULL, NULL, NULL, 0);
#endif
}

#ifdef YUKIZURI_JEMALLOC
#define TEXT_OF(number) #number
#define NAME_OF(number) TEXT_OF(number)
#define ALL_ARENAS      NAME_OF(MALLCTL_ARENAS_ALL)

/* Calls of all arenas, small and large. */
static int read_calls(const char *small, const char *large, size_t *out)
{
    uint64_t small_calls = 0;
    uint64_t large_calls = 0;
    size_t len = sizeof small_calls;
    if (mallctl(small, &small_calls, &len, NULL, 0) != 0 ||
        mallctl(large, &large_calls, &len, NULL, 0) != 0)
        return -1;
    *out = (size_t)(small_calls + large_calls);
    return 0;
}

int memory_read_figures(struct memory_figures *out)
{
    uint64_t epoch = 1; /* without it the figures are those of the last time */
    size_t len = sizeof(size_t);
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    bool read = mallctl("stats.allocated", &out->allocated, &len, NULL, 0) == 0 &&
                mallctl("stats.active", &out->active, &len, NULL, 0) == 0 &&
                mallctl("stats.mapped", &out->mapped, &len, NULL, 0) == 0 &&
                mallctl("stats.retained", &out->retained, &len, NULL, 0) == 0 &&
                read_calls("stats.arenas." ALL_ARENAS ".small.nmalloc",
                           "stats.arenas." ALL_ARENAS ".large.nmalloc", &out->allocations) == 0 &&
                read_calls("stats.arenas." ALL_ARENAS ".small.ndalloc",
                           "stats.arenas." ALL_ARENAS ".large.ndalloc", &out->frees) == 0;
    return read ? 0 : -1;
}
#else
int memory_read_figures(struct memory_figures *out)
{
    *out = (struct memory_figures){0};
    return -1;
}
#endif
