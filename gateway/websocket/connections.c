#include "websocket/connections.h"

#include "base/clock.h"
#include "base/memory.h"
#include "websocket/decoder.h"
#include "websocket/internal.h"
#include "websocket/output.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SILENCE_TICKS = 10 * CONNECTIONS_TICKS_PER_S, /* after a ping */
    MAX_STEP_TICKS = 1 * CONNECTIONS_TICKS_PER_S, /* more between two ticks is a stall */
    REAP_BUDGET_US = 1000, /* of an iteration: closing a socket takes as long as five sends */
    TOO_BIG = 1009,        /* the close code (section 7.4.1) */
};

/* --- Keepalive --- */

static uint32_t clock_ticks(const struct connections *all)
{
    return (uint32_t)(clock_monotonic_ms() / (1000 / CONNECTIONS_TICKS_PER_S)) - all->stalled_ticks;
}

/* At least 1. Every connection has its own tick of the period: those who came in together are not
 * pinged together. */
static unsigned ticks_to_next_ping(const struct connection *connection)
{
    const struct connections *all = connection->all;
    unsigned period = all->options.ping_s * CONNECTIONS_TICKS_PER_S;
    unsigned own = (unsigned)connection->fd % period;
    return (own + period - wheel_now(all->wheel) % period - 1) % period + 1;
}

static void send_ping(struct connection *connection)
{
    if (connection->pong_pending)
        return;
    connection_send(connection, FRAME_PING, NULL, 0);
    connection->all->options.metrics->pings++;
    connection->pong_pending = true;
}

static void check_linger(struct connection *connection)
{
    struct wheel *wheel = connection->all->wheel;
    if (wheel_now(wheel) >= connection->linger_ticks)
        connection_abort(connection);
    else
        wheel_add(wheel, &connection->link, connection->linger_ticks - wheel_now(wheel));
}

static void keep_alive(struct connection *connection)
{
    const struct connections *all = connection->all;
    if (connection->blocked && connection->private != NULL && connections_are_congested(all)) {
        connection_close_slow(connection);
        return;
    }
    uint32_t silent = wheel_now(all->wheel) - connection->last_rx_ticks;
    uint32_t longest = all->options.ping_s * CONNECTIONS_TICKS_PER_S + SILENCE_TICKS;
    if (silent >= longest) {
        connection_abort_for(connection, CONNECTION_SILENT);
        return;
    }
    if (!connection->silence_timed)
        send_ping(connection);
    unsigned next = ticks_to_next_ping(connection);
    connection->silence_timed = connection->pong_pending && next > longest - silent;
    if (connection->silence_timed)
        next = longest - silent;
    wheel_add(all->wheel, &connection->link, next);
}

/* The wheel is lazy: what a connection needs is judged when its slot comes up. */
static void on_wheel_due(struct link *item)
{
    struct connection *connection = LIST_ITEM(item, struct connection, link);
    if (connection->dead)
        return;
    if (connection->closing)
        check_linger(connection);
    else
        keep_alive(connection);
}

/* While this process is stopped it pings nobody and receives nothing: a peer was not silent then.
 */
static void exclude_stall(struct connections *all)
{
    uint32_t step = clock_ticks(all) - wheel_now(all->wheel);
    if (step > MAX_STEP_TICKS)
        all->stalled_ticks += step - MAX_STEP_TICKS;
}

static void on_wheel_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct connections *all = arg;
    metrics_begin_iteration(all->options.metrics);
    exclude_stall(all);
    wheel_advance(all->wheel, clock_ticks(all), on_wheel_due);
}

/* The wheel runs while there is a connection. */
static void start_wheel(struct connections *all)
{
    static const struct timeval tick = {0, 1000000 / CONNECTIONS_TICKS_PER_S};
    wheel_advance(all->wheel, clock_ticks(all), on_wheel_due);
    event_add(all->tick_event, &tick);
}

/* --- What comes in --- */

static bool on_next_frame(void *arg)
{
    const struct connection *connection = arg;
    return !connection_is_full(connection);
}

static void on_decoded_message(void *arg, bool text, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    const struct connection_callbacks *callbacks = connection->callbacks;
    if (!connection->closing && connection->deflated && callbacks->on_bytes != NULL)
        callbacks->on_bytes(connection->owner, len); /* some on the wire may have become many */
    if (!connection->closing)
        callbacks->on_message(connection->owner, text, data, len);
}

static void on_decoded_close(void *arg, uint16_t code)
{
    struct connection *connection = arg;
    if (!connection->closing)
        connection_begin_closing(connection, CONNECTION_LEFT, code);
}

static void on_decoded_control(void *arg, bool is_ping, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    const struct connection_callbacks *callbacks = connection->callbacks;
    if (connection->closing)
        return;
    bool answer = callbacks->on_control == NULL ||
                  callbacks->on_control(connection->owner, is_ping, data, len);
    if (is_ping && answer)
        connection_send(connection, FRAME_PONG, data, len);
}

/* The decoder's answer to a close frame, in one or more pieces. */
static void on_close_reply(void *arg, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    if (!connection->input_ignored && !connection->dead)
        connection_send_raw(connection, data, len);
}

static const struct decoder_callbacks decoder_callbacks = {
    on_next_frame, on_decoded_message, on_decoded_close, on_decoded_control, on_close_reply};

static struct decoder *make_decoder(struct connection *connection)
{
    const struct connections_options *options = &connection->all->options;
    const struct decoder_limits limits = {options->max_message, options->max_fragments};
    struct decoder *decoder = decoder_new(&decoder_callbacks, &limits, connection);
    if (connection->deflated)
        decoder_set_inflater(decoder, connection->all->inflater);
    return decoder;
}

static void drop_decoder(struct connection *connection)
{
    decoder_free(connection->decoder);
    connection->decoder = NULL;
    connection->input_held = false;
}

static void close_for_violation(struct connection *connection, uint16_t code, bool in_pieces)
{
    struct refusals *refusals = connection->all->options.refusals;
    if (connection->closing)
        return;
    if (code == TOO_BIG)
        refusals_note(refusals, in_pieces ? REFUSAL_MAX_FRAGMENTS : REFUSAL_MAX_MESSAGE, NULL);
    connection_close_for(connection, in_pieces ? CONNECTION_IN_PIECES : CONNECTION_CLOSED, code,
                         decoder_reason(code));
}

static void decode(struct connection *connection, const uint8_t *data, size_t len)
{
    uint16_t code = 0;
    enum decoder_result result = decoder_feed(connection->decoder, data, len, &code);
    bool in_pieces = decoder_is_too_fragmented(connection->decoder);
    connection->input_held = decoder_has_waiting(connection->decoder);
    if (result != DECODER_OPEN || decoder_is_idle(connection->decoder))
        drop_decoder(connection);
    if (result == DECODER_VIOLATED)
        close_for_violation(connection, code, in_pieces);
    if (result != DECODER_OPEN)
        connection->input_ignored = true;
    connection_update_watch(connection);
}

void connection_feed(struct connection *connection, const uint8_t *data, size_t len)
{
    if (len == 0 || connection->input_ignored || connection->dead)
        return;
    if (connection->decoder == NULL)
        connection->decoder = make_decoder(connection);
    decode(connection, data, len);
}

/* What was read and held up, once less waits for the peer. */
static void decode_held(struct connection *connection)
{
    if (!connection->input_held || connection_is_full(connection))
        return;
    if (connection->input_ignored || connection->dead)
        drop_decoder(connection);
    else
        decode(connection, NULL, 0);
}

static void receive_bytes(struct connection *connection)
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
        connection->last_rx_ticks = wheel_now(all->wheel);
    connection->pong_pending = false;
    all->options.metrics->bytes_in += (uint64_t)got;
    if (connection->callbacks->on_bytes != NULL)
        connection->callbacks->on_bytes(connection->owner, (size_t)got);
    connection_feed(connection, all->scratch, (size_t)got);
}

static void unblock(struct connection *connection)
{
    connection->blocked = false;
    connection_update_watch(connection);
    connection_mark_dirty(connection);
}

static void on_connection_ready(struct watch *watch, unsigned ready)
{
    struct connection *connection = LIST_ITEM(watch, struct connection, watch);
    if ((ready & POLLER_WRITE) != 0 && connection->blocked)
        unblock(connection);
    if ((ready & connection->watched & POLLER_READ) != 0)
        receive_bytes(connection);
    if ((ready & POLLER_ENDED) != 0 && (connection->watched & POLLER_READ) != 0)
        receive_bytes(
            connection); /* the end: a join whose socket is closed must not be asked for */
}

/* --- A connection begins, and ends --- */

struct connection *connection_new(struct connections *all, int fd,
                                  const struct connection_callbacks *callbacks, void *owner)
{
    struct connection *connection = memory_new(sizeof *connection);
    if (all->count == 0)
        start_wheel(all);
    connection->all = all;
    connection->fd = fd;
    connection->callbacks = callbacks;
    connection->owner = owner;
    connection->watch.on_ready = on_connection_ready;
    connection->last_rx_ticks = wheel_now(all->wheel);
    connection_update_watch(connection);
    list_init(&connection->link);
    wheel_add(all->wheel, &connection->link, ticks_to_next_ping(connection));
    all->count++;
    all->options.metrics->connections = all->count;
    return connection;
}

static void free_connection(struct connection *connection)
{
    struct connections *all = connection->all;
    poller_watch(all->options.poller, connection->fd, &connection->watch, connection->watched, 0);
    decoder_free(connection->decoder);
    list_remove(&connection->link);
    private_bytes_free(connection->private);
    close(connection->fd);
    free(connection);
    all->count--;
    all->options.metrics->connections = all->count;
    if (all->count == 0)
        event_del(all->tick_event);
}

static size_t count_queued(const struct connection *connection)
{
    int unsent = 0;
    if (ioctl(connection->fd, TIOCOUTQ, &unsent) != 0 || unsent < 0)
        unsent = 0;
    return connection_private_len(connection) + (size_t)unsent;
}

static void reap_connection(struct connection *connection)
{
    struct metrics *metrics = connection->all->options.metrics;
    const struct connection_end end = {
        .cause = (enum connection_cause)connection->cause,
        .code = (uint16_t)connection->close_code,
        .queued = count_queued(connection),
    };
    metrics_count_word(&metrics->closes, metrics_close_word(end.code));
    connection->callbacks->on_closed(connection->owner, &end);
    free_connection(connection);
}

/* --- The end of an iteration of the loop --- */

static void flush_connection(struct connection *connection)
{
    static const struct iovec nothing = {NULL, 0};
    if (!connection_is_blocked(connection)) {
        connection->inside_frame = false;
        if (connection->source != NULL)
            connection->source->pump(connection->source_arg, connection);
        else
            connection_write(connection, &nothing, NULL, 0);
    }
    decode_held(connection);
    connection_update_watch(connection);
    /* everything is sent; what the peer still sends is dropped until it closes too */
    if (connection->closing && connection_private_len(connection) == 0)
        shutdown(connection->fd, SHUT_WR);
}

static void add_dead(struct connection *connection)
{
    connection->listed = true; /* whatever the owner still sends, it does not become dirty */
    list_remove(&connection->link);
    list_add(&connection->all->dead, &connection->link);
}

static void flush_dirty(struct connections *all)
{
    struct connection *list = all->dirty;
    all->dirty = NULL;
    while (list != NULL) {
        struct connection *connection = list;
        list = connection->next;
        connection->listed = false;
        if (!connection->dead)
            flush_connection(connection);
        if (connection->dead && !connection->listed)
            add_dead(connection);
    }
}

static void reap_dead(struct connections *all)
{
    if (list_is_empty(&all->dead))
        return;
    int64_t until_us = clock_monotonic_us() + REAP_BUDGET_US;
    do
        reap_connection(LIST_ITEM(all->dead.next, struct connection, link));
    while (!list_is_empty(&all->dead) && clock_monotonic_us() < until_us);
}

void connections_flush(struct connections *all)
{
    flush_dirty(all);
    reap_dead(all);
    if (all->deflater != NULL)
        deflater_refill(all->deflater);
}

/* --- All of them --- */

struct connections *connections_new(const struct connections_options *options)
{
    struct connections *all = memory_new(sizeof *all);
    all->options = *options;
    unsigned longest = options->ping_s * CONNECTIONS_TICKS_PER_S + SILENCE_TICKS;
    if (longest < CONNECTIONS_SLOW_LINGER_TICKS)
        longest = CONNECTIONS_SLOW_LINGER_TICKS;
    all->wheel = wheel_new(longest, clock_ticks(all));
    list_init(&all->dead);
    all->tick_event = event_new(options->base, -1, EV_PERSIST, on_wheel_tick, all);
    return all;
}

void connections_enable_compression(struct connections *all)
{
    struct metrics *metrics = all->options.metrics;
    all->deflater = deflater_new(DEFLATE_WINDOW_BITS, &metrics->deflated_frames);
    all->inflater = inflater_new(all->options.max_message, &metrics->inflated_messages);
}

struct deflater *connections_deflater(const struct connections *all)
{
    return all->deflater;
}

static void abort_item(struct link *item)
{
    connection_abort(LIST_ITEM(item, struct connection, link));
}

void connections_free(struct connections *all)
{
    if (all == NULL)
        return;
    wheel_empty(all->wheel, abort_item);
    flush_dirty(all);
    while (!list_is_empty(&all->dead))
        free_connection(LIST_ITEM(all->dead.next, struct connection, link));
    event_free(all->tick_event);
    wheel_free(all->wheel);
    deflater_free(all->deflater);
    inflater_free(all->inflater);
    free(all);
}

bool connections_have_more(const struct connections *all)
{
    return all->dirty != NULL || !list_is_empty(&all->dead);
}

size_t connections_unsent(const struct connections *all)
{
    (void)all;
    return private_bytes_total();
}

bool connections_are_congested(const struct connections *all)
{
    size_t most = all->options.max_unsent;
    return most > 0 && connections_unsent(all) >= (most + 1) / 2;
}

size_t connections_count(const struct connections *all)
{
    return all->count;
}
