/* batch_send: bytes to many sockets. One system call for each socket, or, where the kernel has
 * io_uring, one for a hundred of them; the results are the same. Owns nothing of what it is given.
 */
#ifndef YUKIZURI_ROOM_BATCH_SEND_H
#define YUKIZURI_ROOM_BATCH_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH_SEND_MOST = 128 };

struct batch_send;

/* One socket's share, and what became of it: how many bytes were taken (fewer than all: its buffer
 * is full now), or -1: the socket is broken. */
struct sending {
    const uint8_t *data;
    uint32_t len; /* at most INT32_MAX */
    int fd;
    int32_t sent;
};

/* With or without io_uring. Returns NULL when it is wanted, and this kernel has none (or forbids
 * it, as containers often do). */
struct batch_send *batch_send_new(bool uring);

/* NULL is fine. */
void batch_send_free(struct batch_send *sender);

/* Does it go through io_uring? */
bool batch_send_uses_uring(const struct batch_send *sender);

/* Offers each its bytes, in this order, to at most BATCH_SEND_MOST of them, and fills in `sent`.
 * Never waits for a socket; when it returns nothing points to the bytes any more. */
void batch_send_all(struct batch_send *sender, struct sending *sendings, size_t count);

#endif
