/* sender: the same bytes to many sockets. One system call for each socket, or, where the kernel has
 * io_uring, one for hundreds; the results are the same. Owns nothing of what it is given. */
#ifndef YUKIZURI_SENDER_H
#define YUKIZURI_SENDER_H

#include <stddef.h>
#include <stdint.h>

enum { SENDER_BATCH = 256 };

struct sender;

/* What became of a socket's share: bytes taken (fewer than all: its buffer is full now), or -1: the
 * socket is broken. */
struct sending {
    int fd;
    int32_t sent;
};

struct sender *sender_new(void);
void sender_free(struct sender *sender);

/* Offers the bytes (fewer than 2 GiB) to `count` sockets, at most SENDER_BATCH, and fills in `sent`
 * of each. Never waits. */
void sender_send(struct sender *sender, struct sending *sendings, size_t count, const uint8_t *data,
                 size_t len);

#endif
