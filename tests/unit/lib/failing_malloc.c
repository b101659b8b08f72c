#include "failing_malloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* Where the code of this program begins and ends (ld's). */
extern const char __executable_start, etext;

static atomic_uint left; /* allocations until one fails; 0: it has */
static atomic_bool armed, onward, failed;

static bool is_ours(const void *caller)
{
    return (const char *)caller >= &__executable_start && (const char *)caller < &etext;
}

static bool fails(const void *caller)
{
    if (!atomic_load(&armed) || is_ours(caller))
        return false;
    bool due = (atomic_load(&failed) && atomic_load(&onward)) ||
               (atomic_load(&left) > 0 && atomic_fetch_sub(&left, 1) == 1);
    if (due) {
        atomic_store(&failed, true);
        errno = ENOMEM;
    }
    return due;
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (next == NULL)
        next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    return fails(__builtin_return_address(0)) ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
    static void *(*next)(size_t, size_t);
    if (next == NULL)
        next = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    return fails(__builtin_return_address(0)) ? NULL : next(count, size);
}

void *realloc(void *old, size_t size)
{
    static void *(*next)(void *, size_t);
    if (next == NULL)
        next = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    return fails(__builtin_return_address(0)) ? NULL : next(old, size);
}

void failing_malloc_begin(unsigned n, enum failing_malloc how)
{
    atomic_store(&left, n);
    atomic_store(&onward, how == FAILING_ONWARD);
    atomic_store(&failed, false);
    atomic_store(&armed, true);
}

bool failing_malloc_end(void)
{
    atomic_store(&armed, false);
    return atomic_load(&failed);
}
