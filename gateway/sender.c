#include "sender.h"

#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct sender {
    int unused;
};

struct sender *sender_new(void)
{
    return memory_new(sizeof(struct sender));
}

void sender_free(struct sender *sender)
{
    free(sender);
}

void sender_send(struct sender *sender, struct sending *sendings, size_t count, const uint8_t *data,
                 size_t len)
{
    (void)sender;
    for (size_t i = 0; i < count; i++) {
        ssize_t sent = send(sendings[i].fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            sent = errno == EAGAIN || errno == EINTR ? 0 : -1;
        sendings[i].sent = (int32_t)sent;
    }
}
