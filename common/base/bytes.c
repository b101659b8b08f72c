#include "base/bytes.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 256 };

size_t bytes_len(const struct bytes *bytes)
{
    return bytes == NULL ? 0 : bytes->len;
}

static struct bytes *reserve(struct bytes **bytes, size_t more)
{
    size_t len = bytes_len(*bytes);
    size_t capacity = *bytes == NULL ? 0 : (*bytes)->capacity;
    if (capacity < len + more) {
        capacity = capacity < SMALLEST ? SMALLEST : capacity;
        while (capacity < len + more)
            capacity *= 2;
        *bytes = memory_resize(*bytes, 1, sizeof **bytes + capacity);
        (*bytes)->len = len;
        (*bytes)->capacity = capacity;
    }
    return *bytes;
}

void bytes_add(struct bytes **bytes, const void *data, size_t len)
{
    if (len == 0)
        return;
    struct bytes *all = reserve(bytes, len);
    memcpy(all->data + all->len, data, len);
    all->len += len;
}

void bytes_add_first(struct bytes **bytes, const void *data, size_t len)
{
    if (len == 0)
        return;
    struct bytes *all = reserve(bytes, len);
    memmove(all->data + len, all->data, all->len);
    memcpy(all->data, data, len);
    all->len += len;
}

void bytes_drop(struct bytes **bytes, size_t len)
{
    struct bytes *all = *bytes;
    if (len == 0)
        return;
    assert(len <= all->len);
    all->len -= len;
    memmove(all->data, all->data + len, all->len);
    if (all->len > 0)
        return;
    free(all);
    *bytes = NULL;
}
