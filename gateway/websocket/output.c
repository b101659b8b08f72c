#include "websocket/output.h"

#include "websocket/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { LARGE_BYTES = 4096 /* a frame for one that is not worth a copy */ };

/* --- Private bytes --- */

size_t connection_private_len(const struct connection *connection)
{
    return private_bytes_len(connection->private);
}

void connection_send_first(struct connection *connection, const uint8_t *data, size_t len)
{
    if (len == 0 || connection->dead)
        return;
    private_bytes_add_first(&connection->private, data, len);
    connection_mark_dirty(connection);
}

void connection_send_raw(struct connection *connection, const void *data, size_t len)
{
    private_bytes_add(&connection->private, data, len);
    connection_mark_dirty(connection);
}

/* --- Writing --- */

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

/* What is left of a frame that has begun to go out, while nothing else waits. */
static void queue_rest(struct connection *connection, const struct iovec part[2], size_t sent)
{
    for (int i = 1; i >= 0; i--) {
        size_t before = i == 0 ? 0 : part[0].iov_len;
        size_t skipped = sent < before ? 0 : sent - before;
        if (skipped < part[i].iov_len)
            connection_send_first(connection, (const uint8_t *)part[i].iov_base + skipped,
                                  part[i].iov_len - skipped);
    }
}

/* Control frames have a place of their own (RFC 6455 section 5.5): a ping, or the answer to one,
 * does not wait for the data before it. */
static void queue_frame(struct connection *connection, enum frame_opcode opcode,
                        const struct iovec part[2])
{
    bool control = opcode == FRAME_PING || opcode == FRAME_PONG;
    for (int i = 0; i < 2; i++)
        (control ? private_bytes_add_control
                 : private_bytes_add)(&connection->private, part[i].iov_base, part[i].iov_len);
    connection_mark_dirty(connection);
}

/* A large frame goes straight to a socket where nothing is queued before it: kept until the end of
 * the iteration, the welcomes of a burst of joins would cost a copy and pages of memory each. */
static void send_frame(struct connection *connection, enum frame_opcode opcode, const void *data,
                       size_t len)
{
    uint8_t header[FRAME_HEADER_BYTES];
    ssize_t sent = 0;
    struct iovec part[2] = {{header, frame_write_header(header, opcode, len)}, {(void *)data, len}};
    size_t all = part[0].iov_len + len;
    bool direct = len >= LARGE_BYTES && !connection->inside_frame && connection->private == NULL;
    if (direct)
        sent = write_iov(connection, part, 2);
    if (sent < 0 || (size_t)sent == all)
        return;
    if (sent > 0)
        queue_rest(connection, part, (size_t)sent);
    else
        queue_frame(connection, opcode, part);
    if (direct)
        connection_block(connection);
}

void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len)
{
    const uint8_t *deflated = NULL;
    size_t deflated_len = 0;
    if (connection->closing || connection->dead)
        return;
    if (connection->deflated && (opcode == FRAME_TEXT || opcode == FRAME_BINARY))
        deflated = deflater_run(connection->all->deflater, data, len, &deflated_len);
    if (deflated != NULL)
        send_frame(connection, opcode | FRAME_DEFLATED, deflated, deflated_len);
    else
        send_frame(connection, opcode, data, len);
}

void connection_send_secret(struct connection *connection, const void *data, size_t len)
{
    if (!connection->closing && !connection->dead)
        send_frame(connection, FRAME_TEXT, data, len);
}

static int build_iov(struct connection *connection, const struct iovec *before,
                     const struct iovec *after, int after_count, struct iovec *out)
{
    int count = 0;
    if (before->iov_len > 0)
        out[count++] = *before;
    count += private_bytes_gather(connection->private, out + count);
    if (after_count > 0)
        memcpy(out + count, after, (size_t)after_count * sizeof *after);
    return count + after_count;
}

static size_t count_bytes(const struct iovec *iov, int count)
{
    size_t all = 0;
    for (int i = 0; i < count; i++)
        all += iov[i].iov_len;
    return all;
}

/* Of what was sent, the private bytes come after the first `before`. Returns how many they were. */
static size_t drop_private(struct connection *connection, size_t sent, size_t before)
{
    size_t rest = sent > before ? sent - before : 0;
    size_t private_len = connection_private_len(connection);
    size_t dropped = rest < private_len ? rest : private_len;
    private_bytes_drop(&connection->private, dropped);
    return dropped;
}

ssize_t connection_write(struct connection *connection, const struct iovec *before,
                         const struct iovec *after, int after_count)
{
    struct iovec iov[1 + PRIVATE_BYTES_PARTS + OUTPUT_MOST_IOVECS];
    assert(after_count <= OUTPUT_MOST_IOVECS);
    if (connection->dead)
        return -1;
    int count = build_iov(connection, before, after, after_count, iov);
    if (count == 0)
        return 0;
    ssize_t sent = write_iov(connection, iov, count);
    if (sent < 0)
        return -1;
    if ((size_t)sent < count_bytes(iov, count))
        connection_block(connection);
    return sent - (ssize_t)drop_private(connection, (size_t)sent, before->iov_len);
}
