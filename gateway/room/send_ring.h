/* send_ring: an io_uring that can send to sockets, and nothing else. A seccomp filter does not see
 * what a ring does, so whoever took this process over could open files through another one. */
#ifndef YUKIZURI_ROOM_SEND_RING_H
#define YUKIZURI_ROOM_SEND_RING_H

#include <liburing.h>

/* Makes a ring with so many entries for the calling thread; the caller ends it with
 * io_uring_queue_exit(). Any entry but IORING_OP_SEND completes with -EACCES. Returns -1 when this
 * kernel has no io_uring (or forbids it), or cannot restrict it. */
int send_ring_init(struct io_uring *ring, unsigned entries);

#endif
