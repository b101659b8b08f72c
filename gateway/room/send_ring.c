#include "room/send_ring.h"

/* By the plain call: liburing 2.3 declares the functions for these two, and does not export them.
 * Once the ring is enabled, nothing can be registered with it. */
static int restrict_to_sends(const struct io_uring *ring)
{
    unsigned fd = (unsigned)ring->ring_fd;
    const struct io_uring_restriction only = {.opcode = IORING_RESTRICTION_SQE_OP,
                                              .sqe_op = IORING_OP_SEND};
    int result = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, &only, 1);
    return result == 0 ? io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) : result;
}

/* The flags are those of kernel 6.0: one thread submits, and does its completions' work itself. */
int send_ring_init(struct io_uring *ring, unsigned entries)
{
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN;
    if (io_uring_queue_init(entries, ring, flags | IORING_SETUP_R_DISABLED) != 0)
        return -1;
    if (restrict_to_sends(ring) == 0)
        return 0;
    io_uring_queue_exit(ring);
    return -1;
}
