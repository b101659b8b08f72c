/* bytes: a queue of bytes that costs nothing while it is empty. */
#ifndef YUKIZURI_BASE_BYTES_H
#define YUKIZURI_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* NULL is the empty queue; the pointer changes with every call that takes a `struct bytes **`. */
struct bytes {
    size_t len;
    size_t capacity;
    uint8_t data[];
};

size_t bytes_len(const struct bytes *bytes);
void bytes_add(struct bytes **bytes, const void *data, size_t len);       /* at the end */
void bytes_add_first(struct bytes **bytes, const void *data, size_t len); /* before all others */
void bytes_drop(struct bytes **bytes, size_t len); /* from the front; freed when none is left */

#endif
