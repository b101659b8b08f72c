#include "websocket/internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/slab.h"
#include "websocket/decoder.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TICKS_PER_S = 4, /* of the wheel: pings of a longer time delay messages, more wake-ups cost */
    SILENCE_TICKS = 10 * TICKS_PER_S, /* after a ping */
    LINGER_TICKS = 5 * TICKS_PER_S,   /* for the peer's part of the closing handshake, */
    SLOW_TICKS = 30 * TICKS_PER_S,    /* and for that of one who was too slow */
    TOO_BIG = 1009,                   /* close codes (section 7.4.1): a message that is too big, */
    HIGHEST_CODE = 4999,              /* and the highest that may be sent */
    LONGEST_STEP_TICKS = TICKS_PER_S, /* what is more between two ticks, this process stood still */
    MOST_REAPING_US = 1000,           /* of a turn: closing a socket takes as long as five sends */
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

static uint32_t clock_ticks(const struct connections *all)
{
    return (uint32_t)(clock_monotonic_ms() / (1000 / TICKS_PER_S)) - all->stood_ticks;
}

/* In how many ticks its next ping is due, at least 1. Every connection has its own tick of the
 * period: those who came in together are not pinged together. */
static unsigned until_next_ping(const struct connection *connection)
{
    const struct connections *all = connection->all;
    unsigned period = all->options.ping_s * TICKS_PER_S;
    unsigned own = (unsigned)connection->fd % period;
    return (own + period - wheel_now(all->wheel) % period - 1) % period + 1;
}

static void ping(struct connection *connection)
{
    if (connection->pinged)
        return;
    connection_send(connection, FRAME_PING, NULL, 0);
    connection->all->options.metrics->pings++;
    connection->pinged = true;
}

/* What is due for a connection; its place on the wheel is where this was thought to be needed. */
static void look_after(struct link *item)
{
    struct connection *connection = LIST_ITEM(item, struct connection, on_wheel);
    struct connections *all = connection->all;
    if (connection->dead)
        return;
    uint32_t now = wheel_now(all->wheel);
    if (connection->closing) {
        if (now >= connection->mark_ticks)
            connection_abort(connection);
        else
            wheel_add(all->wheel, &connection->on_wheel, connection->mark_ticks - now);
        return;
    }
    uint32_t silent = now - connection->mark_ticks;
    uint32_t longest = all->options.ping_s * TICKS_PER_S + SILENCE_TICKS;
    if (silent >= longest) {
        connection_abort_for(connection, CONNECTION_SILENT);
        return;
    }
    if (!connection->awaited)
        ping(connection);
    unsigned next = until_next_ping(connection);
    connection->awaited = connection->pinged && next > longest - silent;
    if (connection->awaited)
        next = longest - silent;
    wheel_add(all->wheel, &connection->on_wheel, next);
}

/* While this process stands still it pings nobody, and hears nobody: that time is none in which a
 * peer was silent. */
static void leave_out_standstill(struct connections *all)
{
    uint32_t step = clock_ticks(all) - wheel_now(all->wheel);
    if (step > LONGEST_STEP_TICKS)
        all->stood_ticks += step - LONGEST_STEP_TICKS;
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct connections *all = arg;
    metrics_begin_turn(all->options.metrics);
    leave_out_standstill(all);
    wheel_advance(all->wheel, clock_ticks(all), look_after);
}

/* The wheel turns while somebody is there. */
static void start_wheel(struct connections *all)
{
    static const struct timeval tick = {0, 1000000 / TICKS_PER_S};
    wheel_advance(all->wheel, clock_ticks(all), look_after);
    event_add(all->tick_event, &tick);
}

/* --- Closing --- */

static void begin_closing(struct connection *connection, enum connection_cause cause, uint16_t code)
{
    struct wheel *wheel = connection->all->wheel;
    unsigned linger = code == CONNECTION_TOO_SLOW ? SLOW_TICKS : LINGER_TICKS;
    connection->closing = true;
    connection->cause = cause & 7;
    connection->close_code = (code <= HIGHEST_CODE ? code : HIGHEST_CODE) & 0x1fffu;
    connection->mark_ticks = wheel_now(wheel) + linger;
    wheel_add(wheel, &connection->on_wheel, linger);
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
    connection->deaf = true; /* its close frame says nothing that the end of its socket does not */
    begin_closing(connection, CONNECTION_CLOSED, code);
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
    connection_wake(connection);
}

void connection_abort(struct connection *connection)
{
    connection_abort_for(connection, CONNECTION_CUT);
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
    connection_update_watch(connection);
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
        begin_closing(connection, CONNECTION_LEFT, code);
}

static void on_control(void *arg, bool ping, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    const struct connection_callbacks *callbacks = connection->callbacks;
    if (connection->closing)
        return;
    bool answer =
        callbacks->on_control == NULL || callbacks->on_control(connection->owner, ping, data, len);
    if (ping && answer)
        connection_send(connection, FRAME_PONG, data, len);
}

/* wslay's close frame, in one or more pieces. */
static void on_close_reply(void *arg, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    if (!connection->close_queued && !connection->dead)
        connection_send_raw(connection, data, len);
}

void connection_feed(struct connection *connection, const uint8_t *data, size_t len)
{
    struct connections *all = connection->all;
    uint16_t code = 0;
    if (len == 0 || connection->deaf || connection->dead)
        return;
    if (connection->decoder == NULL)
        connection->decoder = decoder_take(all->decoders, connection);
    enum decoder_result result = decoder_feed(connection->decoder, data, len, &code);
    if (result != DECODER_OPEN || decoder_is_idle(connection->decoder)) {
        decoder_give(all->decoders, connection->decoder);
        connection->decoder = NULL;
    }
    if (result == DECODER_VIOLATED && code == TOO_BIG && !connection->closing)
        refusals_note(all->options.refusals, REFUSAL_MAX_MESSAGE, NULL);
    if (result == DECODER_VIOLATED)
        connection_close(connection, code, decoder_reason(code));
    if (result != DECODER_OPEN)
        connection->close_queued = connection->deaf = true;
    connection_update_watch(connection);
}

/* The answer to a ping is acknowledged at once, while the socket is in the caches of both ends: the
 * kernel would wait for 40 ms whether something goes the same way. 2: this one alone; after 1 the
 * socket would go on like that for a while (tcp(7); tcp_sock_set_quickack in the kernel). */
static void acknowledge(const struct connection *connection)
{
    static const int now = 2;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
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
        connection->mark_ticks = wheel_now(all->wheel);
    if (connection->pinged) {
        acknowledge(connection);
        connection->pinged = false;
    }
    all->options.metrics->bytes_in += (uint64_t)got;
    connection_feed(connection, all->scratch, (size_t)got);
}

static void on_ready(struct watch *watch, unsigned ready)
{
    struct connection *connection = LIST_ITEM(watch, struct connection, watch);
    if ((ready & POLLER_WRITE) != 0 && connection->blocked) {
        connection->blocked = false;
        connection_update_watch(connection);
        connection_wake(connection);
    }
    if ((ready & connection->watched & POLLER_READ) != 0)
        receive(connection);
    if ((ready & POLLER_ENDED) != 0 && (connection->watched & POLLER_READ) != 0)
        receive(connection); /* the end: a join whose socket is closed must not be asked for */
}

/* --- Life --- */

void connection_set_owner(struct connection *connection, void *owner)
{
    connection->owner = owner;
}

struct connection *connection_new(struct connections *all, int fd,
                                  const struct connection_callbacks *callbacks, void *owner)
{
    struct connection *connection = slab_new(sizeof *connection);
    if (all->count == 0)
        start_wheel(all);
    connection->all = all;
    connection->fd = fd;
    connection->callbacks = callbacks;
    connection->owner = owner;
    connection->watch.on_ready = on_ready;
    connection->mark_ticks = wheel_now(all->wheel);
    connection_update_watch(connection);
    list_init(&connection->on_wheel);
    wheel_add(all->wheel, &connection->on_wheel, until_next_ping(connection));
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
    if (connection->decoder != NULL)
        decoder_give(all->decoders, connection->decoder);
    list_remove(&connection->on_wheel);
    free(connection->private);
    close(connection->fd);
    slab_free(connection);
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

static void reap(struct connection *connection)
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

static void flush(struct connection *connection)
{
    static const struct iovec nothing = {NULL, 0};
    if (!connection_is_blocked(connection)) {
        connection->midway = false;
        if (connection->source != NULL)
            connection->source->pump(connection->source_arg, connection);
        else
            connection_write(connection, &nothing, NULL, 0);
    }
    connection_update_watch(connection);
    if (connection->closing)
        finish_closing(connection);
}

static void add_dead(struct connection *connection)
{
    struct connections *all = connection->all;
    connection->in_work = true; /* whatever the owner still sends, it is not put on the list */
    connection->work_next = NULL;
    if (all->first_dead == NULL)
        all->first_dead = connection;
    else
        all->last_dead->work_next = connection;
    all->last_dead = connection;
}

static void serve_living(struct connections *all)
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
            add_dead(connection);
    }
}

/* When a crowd is cut off at once, it does not hold up those who stay. */
static void reap_dead(struct connections *all)
{
    if (all->first_dead == NULL)
        return;
    int64_t until_us = clock_monotonic_us() + MOST_REAPING_US;
    do {
        struct connection *connection = all->first_dead;
        all->first_dead = connection->work_next;
        reap(connection);
    } while (all->first_dead != NULL && clock_monotonic_us() < until_us);
}

static void on_work(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval next_turn = {0, 0};
    struct connections *all = arg;
    metrics_begin_turn(all->options.metrics);
    serve_living(all);
    reap_dead(all);
    if (connections_are_dying(all))
        event_add(all->work_event, &next_turn);
}

struct connections *connections_new(const struct connections_options *options)
{
    static const struct decoder_callbacks callbacks = {on_message, on_close_frame, on_control,
                                                       on_close_reply};
    struct connections *all = memory_new(sizeof *all);
    all->options = *options;
    all->decoders = decoders_new(&callbacks, options->max_message);
    unsigned longest = options->ping_s * TICKS_PER_S + SILENCE_TICKS;
    all->wheel = wheel_new(longest > SLOW_TICKS ? longest : SLOW_TICKS, clock_ticks(all));
    all->tick_event = event_new(options->base, -1, EV_PERSIST, on_tick, all);
    all->work_event = event_new(options->base, -1, 0, on_work, all);
    return all;
}

static void abort_item(struct link *item)
{
    connection_abort(LIST_ITEM(item, struct connection, on_wheel));
}

void connections_free(struct connections *all)
{
    if (all == NULL)
        return;
    wheel_empty(all->wheel, abort_item);
    while (all->work != NULL) {
        struct connection *connection = all->work;
        all->work = connection->work_next;
        add_dead(connection);
    }
    while (all->first_dead != NULL) {
        struct connection *connection = all->first_dead;
        all->first_dead = connection->work_next;
        free_connection(connection);
    }
    event_free(all->tick_event);
    event_free(all->work_event);
    decoders_free(all->decoders);
    wheel_free(all->wheel);
    free(all);
}

bool connections_are_dying(const struct connections *all)
{
    return all->first_dead != NULL;
}

size_t connections_count(const struct connections *all)
{
    return all->count;
}
