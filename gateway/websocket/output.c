/* Writing: private bytes, shared frames around them, and what the poller waits for. */
#include "websocket/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PRIVATE_HIGH_BYTES = 65536, /* more waiting for one peer: stop reading from it */
    MOST_IOVECS = 64,
    LARGE_BYTES = 4096, /* a frame for one that is not worth a copy */
};

/* --- Private bytes --- */

static void private_add(struct connection *connection, const void *data, size_t len)
{
    bytes_add(&connection->private, data, len);
    connection_wake(connection);
}

size_t connection_private_len(const struct connection *connection)
{
    return bytes_len(connection->private);
}

void connection_send_first(struct connection *connection, const uint8_t *data, size_t len)
{
    if (len == 0 || connection->dead)
        return;
    bytes_add_first(&connection->private, data, len);
    connection_wake(connection);
}

void connection_send_raw(struct connection *connection, const void *data, size_t len)
{
    private_add(connection, data, len);
}

/* --- Writing --- */

static bool is_stuffed(const struct connection *connection)
{
    return connection_private_len(connection) >
           PRIVATE_HIGH_BYTES + connection->all->options.max_message;
}

static void drop_unwatched(struct connection *connection)
{
    refusals_note(connection->all->options.refusals, REFUSAL_KERNEL_MEMORY, NULL);
    connection_abort_for(connection, CONNECTION_UNWATCHED);
}

void connection_update_watch(struct connection *connection)
{
    bool read = connection->closing || (!connection->held && !is_stuffed(connection));
    unsigned wanted = (read ? POLLER_READ : 0u) | (connection->blocked ? POLLER_WRITE : 0u);
    if (connection->dead)
        wanted = 0;
    if (wanted == connection->watched)
        return;
    if (poller_watch(connection->all->options.poller, connection->fd, &connection->watch,
                     connection->watched, wanted) == 0)
        connection->watched = wanted & 3;
    else
        drop_unwatched(connection);
}

void connection_block(struct connection *connection)
{
    connection->blocked = connection->midway = true;
    connection_update_watch(connection);
    if (connection->source != NULL)
        connection->source->on_stirred(connection->source_arg, connection);
}

bool connection_is_blocked(const struct connection *connection)
{
    return connection->blocked;
}

int connection_fd(const struct connection *connection)
{
    return connection->fd;
}

/* Writes; 0 when the socket is full, -1 when it is gone. */
static ssize_t write_iov(struct connection *connection, struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t sent = count == 1 ? send(connection->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                              : sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        sent = 0;
    if (sent < 0)
        connection_abort(connection);
    else
        connection->all->options.metrics->bytes_out += (uint64_t)sent;
    return sent;
}

static void send_later(struct connection *connection, const struct iovec part[2], size_t sent)
{
    for (int i = 0; i < 2; i++) {
        size_t skipped = sent < part[i].iov_len ? sent : part[i].iov_len;
        sent -= skipped;
        private_add(connection, (const uint8_t *)part[i].iov_base + skipped,
                    part[i].iov_len - skipped);
    }
}

/* What is large goes straight to a socket where nothing is before it: kept until the end of the
 * turn, the welcomes of a storm of people would cost a copy and a page of memory each. So does a
 * ping, which is two bytes that nothing else would go out with. */
void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len)
{
    uint8_t header[FRAME_HEADER_BYTES];
    ssize_t sent = 0;
    if (connection->closing || connection->dead)
        return;
    struct iovec part[2] = {{header, frame_write_header(header, opcode, len)}, {(void *)data, len}};
    size_t all = part[0].iov_len + len;
    bool worth = len >= LARGE_BYTES || opcode == FRAME_PING;
    bool at_once = worth && !connection->midway && connection->private == NULL;
    if (at_once)
        sent = write_iov(connection, part, len > 0 ? 2 : 1);
    if (sent < 0 || (size_t)sent == all)
        return;
    send_later(connection, part, (size_t)sent);
    if (at_once)
        connection_block(connection);
}

ssize_t connection_write(struct connection *connection, const struct iovec *before,
                         const struct iovec *after, int after_count)
{
    struct iovec iov[MOST_IOVECS + 2];
    int count = 0;
    assert(after_count <= MOST_IOVECS);
    if (connection->dead)
        return -1;
    if (before->iov_len > 0)
        iov[count++] = *before;
    size_t private_len = connection_private_len(connection);
    if (private_len > 0)
        iov[count++] = (struct iovec){connection->private->data, private_len};
    if (after_count > 0)
        memcpy(iov + count, after, (size_t)after_count * sizeof *after);
    count += after_count;
    if (count == 0)
        return 0;
    size_t all = 0;
    for (int i = 0; i < count; i++)
        all += iov[i].iov_len;
    ssize_t sent = write_iov(connection, iov, count);
    if (sent < 0)
        return -1;
    if ((size_t)sent < all)
        connection_block(connection);
    size_t rest = (size_t)sent > before->iov_len ? (size_t)sent - before->iov_len : 0;
    size_t private_sent = rest < private_len ? rest : private_len;
    bytes_drop(&connection->private, private_sent);
    return sent - (ssize_t)private_sent;
}
