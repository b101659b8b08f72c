#include "websocket/connection.h"

#include "protocol/frame.h"
#include "websocket/internal.h"

#include <event2/event.h>

enum {
    PRIVATE_HIGH_BYTES = 65536, /* more waiting for one peer: stop reading from it */
    MAX_CLOSE_CODE = 4999,      /* of those that may be sent (section 7.4.2) */
};

/* --- Who it belongs to --- */

void connection_set_owner(struct connection *connection, void *owner)
{
    connection->owner = owner;
}

void connection_set_source(struct connection *connection, const struct connection_source *source,
                           void *arg)
{
    connection->source = source;
    connection->source_arg = arg;
}

void connection_set_deflated(struct connection *connection)
{
    assert(connection->all->deflater != NULL && connection->source == NULL);
    connection->deflated = true;
}

bool connection_is_deflated(const struct connection *connection)
{
    return connection->deflated;
}

void connection_set_slot(struct connection *connection, uint32_t slot)
{
    connection->slot = slot;
}

uint32_t connection_slot(const struct connection *connection)
{
    return connection->slot;
}

int connection_fd(const struct connection *connection)
{
    return connection->fd;
}

/* --- What it waits for --- */

static void announce_pending(struct connection *connection)
{
    if (connection->source != NULL)
        connection->source->on_pending_output(connection->source_arg, connection);
}

void connection_mark_dirty(struct connection *connection)
{
    struct connections *all = connection->all;
    announce_pending(connection);
    if (connection->listed)
        return;
    connection->listed = true;
    connection->next = all->dirty;
    all->dirty = connection;
}

bool connection_is_full(const struct connection *connection)
{
    return private_bytes_len(connection->private) >
           PRIVATE_HIGH_BYTES + connection->all->options.max_message;
}

/* Has it more than what is left for it and for everybody else? */
static bool exceeds_share(const struct connection *connection)
{
    const struct connections *all = connection->all;
    size_t most = all->options.max_unsent, used = connections_unsent(all);
    return most > 0 && connection->blocked && !connection->closing &&
           private_bytes_len(connection->private) > (most > used ? most - used : 0);
}

void connection_close_slow(struct connection *connection)
{
    refusals_note(connection->all->options.refusals, REFUSAL_MAX_UNSENT, NULL);
    connection_close(connection, CONNECTION_TOO_SLOW, "too slow: come back");
}

void connection_update_watch(struct connection *connection)
{
    if (connection->private != NULL && exceeds_share(connection))
        connection_close_slow(connection);
    bool read = connection->closing || (!connection->reading_paused && !connection->input_held &&
                                        !connection_is_full(connection));
    unsigned wanted = (read ? POLLER_READ : 0u) | (connection->blocked ? POLLER_WRITE : 0u);
    if (connection->dead)
        wanted = 0;
    if (wanted == connection->watched)
        return;
    if (poller_watch(connection->all->options.poller, connection->fd, &connection->watch,
                     connection->watched, wanted) == 0) {
        connection->watched = wanted & 3;
        return;
    }
    refusals_note(connection->all->options.refusals, REFUSAL_KERNEL_MEMORY, NULL);
    connection_abort_for(connection, CONNECTION_UNWATCHED);
}

void connection_pause_reading(struct connection *connection, bool paused)
{
    connection->reading_paused = paused;
    connection_update_watch(connection);
}

void connection_block(struct connection *connection)
{
    connection->blocked = connection->inside_frame = true;
    connection_update_watch(connection);
    announce_pending(connection);
}

bool connection_is_blocked(const struct connection *connection)
{
    return connection->blocked;
}

/* --- How it ends --- */

void connection_begin_closing(struct connection *connection, enum connection_cause cause,
                              uint16_t code)
{
    struct wheel *wheel = connection->all->wheel;
    unsigned linger =
        code == CONNECTION_TOO_SLOW ? CONNECTIONS_SLOW_LINGER_TICKS : CONNECTIONS_LINGER_TICKS;
    connection->closing = true;
    connection->cause = cause & 7;
    connection->close_code = (code <= MAX_CLOSE_CODE ? code : MAX_CLOSE_CODE) & 0x1fffu;
    connection->linger_ticks = wheel_now(wheel) + linger;
    wheel_add(wheel, &connection->link, linger);
    connection_mark_dirty(connection);
}

static void queue_close_frame(struct connection *connection, uint16_t code, const char *reason)
{
    uint8_t header[FRAME_HEADER_BYTES], payload[FRAME_CONTROL_BYTES];
    size_t len = frame_write_close(payload, code, reason);
    private_bytes_add(&connection->private, header, frame_write_header(header, FRAME_CLOSE, len));
    private_bytes_add(&connection->private, payload, len);
}

void connection_close_for(struct connection *connection, enum connection_cause cause, uint16_t code,
                          const char *reason)
{
    if (connection->closing || connection->dead)
        return;
    queue_close_frame(connection, code, reason);
    /* the peer's close frame would tell nothing that the end of its socket does not */
    connection->input_ignored = true;
    connection_begin_closing(connection, cause, code);
}

void connection_close(struct connection *connection, uint16_t code, const char *reason)
{
    connection_close_for(connection, CONNECTION_CLOSED, code, reason);
}

void connection_abort_for(struct connection *connection, enum connection_cause cause)
{
    if (connection->dead)
        return;
    connection->dead = true;
    if (!connection->closing) {
        connection->close_code = 1006;
        connection->cause = cause & 7;
    }
    connection->closing = true;
    connection_update_watch(connection);
    connection_mark_dirty(connection);
}

void connection_abort(struct connection *connection)
{
    connection_abort_for(connection, CONNECTION_CUT);
}

bool connection_is_closing(const struct connection *connection)
{
    return connection->closing || connection->dead;
}
