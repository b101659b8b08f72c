#include "room/batch_send.h"

#include "base/memory.h"
#include "room/send_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A submission has a price of its own; for a few sockets it is not asked for. */
enum { URING_LEAST = 64 };

struct batch_send {
    bool uring;
    struct io_uring ring;
};

struct batch_send *batch_send_new(bool uring)
{
    struct batch_send *sender = memory_new(sizeof *sender);
    sender->uring = uring;
    if (!uring || send_ring_init(&sender->ring, BATCH_SEND_MOST) == 0)
        return sender;
    free(sender);
    return NULL;
}

void batch_send_free(struct batch_send *sender)
{
    if (sender == NULL)
        return;
    if (sender->uring)
        io_uring_queue_exit(&sender->ring);
    free(sender);
}

bool batch_send_uses_uring(const struct batch_send *sender)
{
    return sender->uring;
}

static int32_t judge(int64_t sent, int error)
{
    if (sent >= 0)
        return (int32_t)sent;
    return error == EAGAIN || error == EINTR ? 0 : -1;
}

static void send_each(struct sending *sendings, size_t count)
{
    for (struct sending *each = sendings; each < sendings + count; each++) {
        ssize_t sent = send(each->fd, each->data, each->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        each->sent = judge(sent, errno);
    }
}

static unsigned take_completions(struct batch_send *sender, struct sending *sendings)
{
    struct io_uring_cqe *done;
    unsigned head;
    unsigned seen = 0;
    io_uring_for_each_cqe(&sender->ring, head, done)
    {
        sendings[io_uring_cqe_get_data64(done)].sent = judge(done->res, -done->res);
        seen++;
    }
    io_uring_cq_advance(&sender->ring, seen);
    return seen;
}

/* With MSG_DONTWAIT each send is complete when its submission returns, in whatever way; so nothing
 * of the kernel's points to the bytes afterwards. */
static void send_together(struct batch_send *sender, struct sending *sendings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&sender->ring);
        io_uring_prep_send(entry, sendings[i].fd, sendings[i].data, sendings[i].len,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        io_uring_sqe_set_data64(entry, i);
    }
    for (unsigned seen = 0; seen < count; seen += take_completions(sender, sendings)) {
        int result = io_uring_submit_and_wait(&sender->ring, (unsigned)count - seen);
        if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
            abort(); /* the ring itself is broken, which is a mistake of ours */
    }
}

void batch_send_all(struct batch_send *sender, struct sending *sendings, size_t count)
{
    if (sender->uring && count >= URING_LEAST)
        send_together(sender, sendings, count);
    else
        send_each(sendings, count);
}
