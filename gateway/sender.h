/* sender: the same bytes to many sockets. One system call for each socket, or, where the kernel has
 * io_uring, one for hundreds of them; the results are the same. Owns nothing of what it is given.
 * The only user of liburing. */
#ifndef YUKIZURI_SENDER_H
#define YUKIZURI_SENDER_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SENDER_BATCH = 128 };

struct sender;

/* One socket's share, and what became of it: how many bytes were taken (fewer than all: its buffer
 * is full now), or -1: the socket is broken. */
struct sending {
    int fd;
    int32_t sent;
};

/* With or without io_uring. Returns NULL when it is wanted, and this kernel has none (or forbids
 * it, as containers often do). */
struct sender *sender_new(bool uring);

/* NULL is fine. */
void sender_free(struct sender *sender);

/* A place to put bytes together in; it belongs to the sender, and its content to whoever sends it
 * next: nothing stays in it. */
struct text *sender_buffer(struct sender *sender);

/* Offers the bytes (fewer than 2 GiB) to `count` sockets, at most SENDER_BATCH, and fills in `sent`
 * of each. Never waits for a socket. */
void sender_send(struct sender *sender, struct sending *sendings, size_t count, const uint8_t *data,
                 size_t len);

#endif
