#include "connection.h"

#include "bytes.h"
#include "clock.h"
#include "memory.h"
#include "poller.h"
#include "reader.h"
#include "slab.h"
#include "wheel.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SCRATCH_BYTES = 65536,
    PRIVATE_HIGH_BYTES = 65536, /* more waiting for one peer: stop reading from it */
    SILENCE_S = 10,             /* after a ping */
    LINGER_S = 5,               /* for the peer's part of the closing handshake */
    MOST_IOVECS = 64,
};

/* 104 bytes: what malloc gives out as 112. */
struct connection {
    struct watch watch;
    struct connections *all;
    const struct connection_callbacks *callbacks;
    void *owner;
    const struct connection_source *source; /* NULL: none */
    void *source_arg;
    struct bytes *private; /* for this peer alone; NULL while empty */
    struct reader *reader; /* NULL between frames */
    struct link on_wheel;
    struct connection *work_next; /* in the list of those with work to do */
    int fd;
    uint32_t slot;   /* the source's */
    uint32_t mark_s; /* when its last byte came; closing: when to stop waiting; the wheel's clock */
    uint16_t close_code;
    unsigned watched : 2;      /* what the poller waits for */
    unsigned in_work : 1;      /* in the list */
    unsigned pinged : 1;       /* and has not answered yet */
    unsigned blocked : 1;      /* its socket is full */
    unsigned held : 1;         /* by the owner */
    unsigned closing : 1;      /* a close frame is queued, or was received */
    unsigned close_queued : 1; /* our close frame is queued or sent: nothing may follow it */
    unsigned deaf : 1;         /* the peer's bytes mean nothing any more */
    unsigned shut : 1;         /* our side of the socket is shut down */
    unsigned dead : 1;         /* to be reaped */
};

struct connections {
    struct connections_options options;
    struct readers *readers;
    struct event *work_event;
    struct connection *work;
    struct wheel *wheel; /* pings and reaps: no connection needs a timer */
    size_t count;
    uint8_t scratch[SCRATCH_BYTES];
};

/* --- The list of work, done once per turn of the loop --- */

void connection_wake(struct connection *connection)
{
    if (connection->source != NULL)
        connection->source->on_stirred(connection->source_arg, connection);
    if (connection->in_work)
        return;
    struct connections *all = connection->all;
    if (all->work == NULL)
        event_active(all->work_event, EV_TIMEOUT, 0);
    connection->in_work = true;
    connection->work_next = all->work;
    all->work = connection;
}

/* --- The wheel --- */

/* What is due for a connection; its place on the wheel is where this was thought to be needed. */
static void look_after(struct link *item)
{
    struct connection *connection = LIST_ITEM(item, struct connection, on_wheel);
    struct connections *all = connection->all;
    if (connection->dead)
        return;
    unsigned ping_s = all->options.ping_s;
    uint32_t now_s = wheel_now(all->wheel);
    uint32_t idle_s = now_s - connection->mark_s;
    if (connection->closing) {
        if (now_s >= connection->mark_s)
            connection_abort(connection);
        else
            wheel_add(all->wheel, &connection->on_wheel, connection->mark_s - now_s);
    } else if (idle_s >= ping_s + SILENCE_S) {
        connection_abort(connection);
    } else if (idle_s >= ping_s) {
        if (!connection->pinged) {
            connection_send(connection, FRAME_PING, NULL, 0);
            all->options.metrics->pings++;
        }
        connection->pinged = true;
        wheel_add(all->wheel, &connection->on_wheel, ping_s + SILENCE_S - idle_s);
    } else {
        wheel_add(all->wheel, &connection->on_wheel, ping_s - idle_s);
    }
}

void connections_tick(struct connections *all)
{
    wheel_advance(all->wheel, (uint32_t)(clock_monotonic_ms() / 1000), look_after);
}

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

void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len)
{
    if (connection->closing || connection->dead)
        return;
    uint8_t header[FRAME_HEADER_BYTES];
    private_add(connection, header, frame_write_header(header, opcode, len));
    private_add(connection, data, len);
}

/* --- Writing --- */

static bool is_stuffed(const struct connection *connection)
{
    return connection_private_len(connection) >
           PRIVATE_HIGH_BYTES + connection->all->options.max_message;
}

/* Nothing is read from a peer that does not take what waits for it, nor from one that is held. */
static void update_watch(struct connection *connection)
{
    bool read = connection->closing || (!connection->held && !is_stuffed(connection));
    unsigned wanted = (read ? POLLER_READ : 0u) | (connection->blocked ? POLLER_WRITE : 0u);
    if (connection->dead || wanted == connection->watched)
        return;
    if (poller_watch(connection->all->options.poller, connection->fd, &connection->watch,
                     connection->watched, wanted) == 0)
        connection->watched = wanted & 3;
    else
        connection_abort(connection);
}

void connection_block(struct connection *connection)
{
    connection->blocked = true;
    update_watch(connection);
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

/* --- Closing --- */

static void begin_closing(struct connection *connection, uint16_t code)
{
    struct wheel *wheel = connection->all->wheel;
    connection->closing = true;
    connection->close_code = code;
    connection->mark_s = wheel_now(wheel) + LINGER_S;
    wheel_add(wheel, &connection->on_wheel, LINGER_S);
    connection_wake(connection);
}

void connection_close(struct connection *connection, uint16_t code, const char *reason)
{
    if (connection->closing || connection->dead)
        return;
    uint8_t payload[FRAME_CONTROL_BYTES];
    size_t len = frame_write_close(payload, code, reason);
    connection_send(connection, FRAME_CLOSE, payload, len);
    connection->close_queued = true;
    begin_closing(connection, code);
}

void connection_abort(struct connection *connection)
{
    if (connection->dead)
        return;
    connection->dead = true;
    if (!connection->closing)
        connection->close_code = 1006;
    connection->closing = true;
    connection_wake(connection);
}

bool connection_is_closing(const struct connection *connection)
{
    return connection->closing || connection->dead;
}

/* All has been said: our half is shut; what the peer still sends is dropped until it closes too. */
static void finish_closing(struct connection *connection)
{
    if (connection->shut || connection_private_len(connection) > 0)
        return;
    connection->shut = true;
    shutdown(connection->fd, SHUT_WR);
}

/* --- Reading --- */

void connection_hold(struct connection *connection, bool hold)
{
    connection->held = hold;
    update_watch(connection);
}

static void on_message(void *arg, bool text, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    if (!connection->closing)
        connection->callbacks->on_message(connection->owner, text, data, len);
}

static void on_close_frame(void *arg, uint16_t code)
{
    struct connection *connection = arg;
    if (!connection->closing)
        begin_closing(connection, code);
}

/* wslay's pong or close frame, in one or more pieces. */
static void on_reader_send(void *arg, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    if (!connection->close_queued && !connection->dead)
        private_add(connection, data, len);
}

void connection_feed(struct connection *connection, const uint8_t *data, size_t len)
{
    struct connections *all = connection->all;
    uint16_t code = 0;
    if (len == 0 || connection->deaf || connection->dead)
        return;
    if (connection->reader == NULL)
        connection->reader = reader_take(all->readers, connection);
    enum reader_result result = reader_feed(connection->reader, data, len, &code);
    if (result != READER_OPEN || reader_is_idle(connection->reader)) {
        reader_give(all->readers, connection->reader);
        connection->reader = NULL;
    }
    if (result == READER_VIOLATED)
        connection_close(connection, code, reader_reason(code));
    if (result != READER_OPEN)
        connection->close_queued = connection->deaf = true;
    update_watch(connection);
}

static void receive(struct connection *connection)
{
    struct connections *all = connection->all;
    ssize_t got = recv(connection->fd, all->scratch, sizeof all->scratch, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        connection_abort(connection);
        return;
    }
    if (!connection->closing)
        connection->mark_s = wheel_now(all->wheel);
    connection->pinged = false;
    all->options.metrics->bytes_in += (uint64_t)got;
    connection_feed(connection, all->scratch, (size_t)got);
}

static void on_ready(struct watch *watch, unsigned ready)
{
    struct connection *connection = LIST_ITEM(watch, struct connection, watch);
    if ((ready & POLLER_WRITE) != 0 && connection->blocked) {
        connection->blocked = false;
        update_watch(connection);
        connection_wake(connection);
    }
    if ((ready & connection->watched & POLLER_READ) != 0 && !connection->dead)
        receive(connection);
}

/* --- Life --- */

struct connection *connection_new(struct connections *all, int fd,
                                  const struct connection_callbacks *callbacks, void *owner)
{
    struct connection *connection = slab_new(sizeof *connection);
    connection->all = all;
    connection->fd = fd;
    connection->callbacks = callbacks;
    connection->owner = owner == NULL ? connection : owner;
    connection->watch.on_ready = on_ready;
    connection->mark_s = wheel_now(all->wheel);
    update_watch(connection);
    list_init(&connection->on_wheel);
    wheel_add(all->wheel, &connection->on_wheel, all->options.ping_s);
    all->count++;
    all->options.metrics->connections = all->count;
    return connection;
}

void connection_set_slot(struct connection *connection, uint32_t slot)
{
    connection->slot = slot;
}

uint32_t connection_slot(const struct connection *connection)
{
    return connection->slot;
}

void connection_set_source(struct connection *connection, const struct connection_source *source,
                           void *arg)
{
    connection->source = source;
    connection->source_arg = arg;
}

static void free_connection(struct connection *connection)
{
    struct connections *all = connection->all;
    poller_watch(all->options.poller, connection->fd, &connection->watch, connection->watched, 0);
    if (connection->reader != NULL)
        reader_give(all->readers, connection->reader);
    list_remove(&connection->on_wheel);
    free(connection->private);
    close(connection->fd);
    slab_free(connection);
    all->count--;
    all->options.metrics->connections = all->count;
}

static void reap(struct connection *connection)
{
    struct metrics *metrics = connection->all->options.metrics;
    connection->in_work = true; /* whatever the owner still sends, it is not put back on the list */
    metrics_count_word(&metrics->closes, metrics_close_word(connection->close_code));
    connection->callbacks->on_closed(connection->owner, connection->close_code);
    free_connection(connection);
}

static void flush(struct connection *connection)
{
    static const struct iovec nothing = {NULL, 0};
    if (!connection_is_blocked(connection)) {
        if (connection->source != NULL)
            connection->source->pump(connection->source_arg, connection);
        else
            connection_write(connection, &nothing, NULL, 0);
    }
    update_watch(connection);
    if (connection->closing)
        finish_closing(connection);
}

static void do_work(struct connections *all)
{
    struct connection *list = all->work;
    all->work = NULL;
    while (list != NULL) {
        struct connection *connection = list;
        list = connection->work_next;
        connection->in_work = false;
        if (!connection->dead)
            flush(connection);
        if (connection->dead && !connection->in_work)
            reap(connection);
    }
}

static void on_work(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    do_work(arg);
}

struct connections *connections_new(const struct connections_options *options)
{
    static const struct reader_callbacks callbacks = {on_message, on_close_frame, on_reader_send};
    struct connections *all = memory_new(sizeof *all);
    all->options = *options;
    all->readers = readers_new(&callbacks, options->max_message);
    all->wheel = wheel_new(options->ping_s + SILENCE_S, (uint32_t)(clock_monotonic_ms() / 1000));
    all->work_event = event_new(options->base, -1, 0, on_work, all);
    return all;
}

void connections_free(struct connections *all)
{
    if (all == NULL)
        return;
    struct link *item;
    while ((item = wheel_any(all->wheel)) != NULL) {
        list_remove(item);
        connection_abort(LIST_ITEM(item, struct connection, on_wheel));
    }
    while (all->work != NULL) {
        struct connection *connection = all->work;
        all->work = connection->work_next;
        free_connection(connection);
    }
    event_free(all->work_event);
    readers_free(all->readers);
    wheel_free(all->wheel);
    free(all);
}

size_t connections_count(const struct connections *all)
{
    return all->count;
}
