#include "base/memory.h"

#include "base/stderr_line.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { CACHED_BYTES = 1032, TIDY_LEAST_BYTES = 1 << 20 };

static void *check(void *memory)
{
    if (memory == NULL) {
        stderr_line_print("out of memory");
        abort();
    }
    return memory;
}

/* glibc's calloc does not look at the thread's cache of freed pieces (before 2.41); malloc does. */
void *memory_new(size_t size)
{
    if (size > CACHED_BYTES)
        return check(calloc(1, size));
    return memset(check(malloc(size)), 0, size);
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

/* What was given back still counts as free, until it is used again. */
static size_t free_before;

void memory_give_back(void)
{
    malloc_trim(0);
    free_before = mallinfo2().fordblks;
}

void memory_tidy(void)
{
    struct mallinfo2 info = mallinfo2();
    if (free_before > info.fordblks)
        free_before = info.fordblks;
    size_t more = info.fordblks - free_before;
    if (more >= TIDY_LEAST_BYTES && more >= info.uordblks / 8)
        memory_give_back();
}
