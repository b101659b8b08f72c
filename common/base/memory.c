#include "base/memory.h"

#include "base/stderr_line.h"

#include <stdlib.h>
#include <string.h>

#ifdef YUKIZURI_JEMALLOC
#include <jemalloc/jemalloc.h>

/* jemalloc reads it at the start. One thread does nearly everything, so one arena is enough. What
 * is large is not cached: pages of it would stay taken after a burst of people. */
const char *malloc_conf = "narenas:1,lg_tcache_max:12,dirty_decay_ms:1000";
#endif

static void *check(void *memory)
{
    if (memory == NULL) {
        stderr_line_print("out of memory");
        abort();
    }
    return memory;
}

void *memory_new(size_t size)
{
    return check(calloc(1, size));
}

void *memory_resize(void *old, size_t count, size_t size)
{
    return check(reallocarray(old, count, size));
}

char *memory_copy(const char *data, size_t len)
{
    char *copy = check(malloc(len + 1));
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
