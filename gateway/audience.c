#include "audience.h"

#include "memory.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_PASS_BYTES = 262144, /* of frames that go out in one pass; more is for the next one */
    MOST_IOVECS = 64,
};

/* A member: a connection and where it stands. Two fit into a cache line; a flush looks at nothing
 * else of those who are plain: whose cursor is at a frame's beginning, and whose connection has
 * neither bytes of its own nor a full socket, nor ends. */
struct slot {
    struct connection *connection;
    struct room_log_cursor cursor;
    int plain_fd; /* the socket; -1 for who is not plain and must be served one by one */
};

struct audience {
    struct audience_options options;
    struct slot *slots;
    uint32_t count, capacity;
    uint32_t flush_at; /* slots before this one were served in this pass */
    bool busy;
    bool waiting; /* a pass is due and has not begun */
    bool behind;  /* somebody's cursor may be behind the head: the last pass found a full socket, or
                     a member came in behind */
    uint64_t pass_from, pass_to; /* positions: the frames of this pass */
    const uint8_t *pass_data;    /* their bytes in a row, in the log or in `merged` */
    size_t pass_len;
    uint8_t *merged;
    struct event *flush_event;
};

static void on_flush(evutil_socket_t fd, short events, void *arg);
static void on_stirred(void *arg, struct connection *connection);
static void pump(void *arg, struct connection *connection);

static const struct connection_source source = {on_stirred, pump};

struct audience *audience_new(const struct audience_options *options)
{
    struct audience *audience = memory_new(sizeof *audience);
    audience->options = *options;
    audience->flush_event = event_new(options->base, -1, 0, on_flush, audience);
    return audience;
}

void audience_free(struct audience *audience)
{
    if (audience == NULL)
        return;
    event_free(audience->flush_event);
    free(audience->merged);
    free(audience->slots);
    free(audience);
}

size_t audience_count(const struct audience *audience)
{
    return audience->count;
}

bool audience_is_busy(const struct audience *audience)
{
    return audience->busy;
}

/* --- Slots: dense, in flush order --- */

static struct slot *find_slot(struct audience *audience, const struct connection *connection)
{
    uint32_t index = connection_slot(connection);
    if (index < audience->count && audience->slots[index].connection == connection)
        return &audience->slots[index];
    return NULL;
}

/* By a quarter: a big room shall not hold twice what it needs. */
static void make_room(struct audience *audience)
{
    if (audience->count < audience->capacity)
        return;
    audience->capacity += audience->capacity < 16 ? 4 : audience->capacity / 4;
    audience->slots = memory_resize(audience->slots, audience->capacity, sizeof *audience->slots);
}

static void move_slot(struct audience *audience, uint32_t to, uint32_t from)
{
    if (to == from)
        return;
    audience->slots[to] = audience->slots[from];
    connection_set_slot(audience->slots[to].connection, to);
}

/* During a pass the slots before `flush_at` are done: a hole there is filled by the last done one,
 * and that one's place by the last of all, so that nobody is left out. */
static void remove_slot(struct audience *audience, uint32_t hole)
{
    if (audience->busy && hole < audience->flush_at) {
        audience->flush_at--;
        move_slot(audience, hole, audience->flush_at);
        hole = audience->flush_at;
    }
    audience->count--;
    move_slot(audience, hole, audience->count);
}

/* --- One by one --- */

static void on_stirred(void *arg, struct connection *connection)
{
    struct slot *slot = find_slot(arg, connection);
    if (slot != NULL)
        slot->plain_fd = -1;
}

/* Lets go of the log: what is left of a half-sent frame becomes the connection's own. */
static void let_go(struct audience *audience, struct slot *slot)
{
    const struct room_log *log = audience->options.log;
    const uint8_t *rest = NULL;
    size_t len = room_log_remainder(log, &slot->cursor, &rest);
    connection_send_first(slot->connection, rest, len);
    slot->cursor.position = room_log_head(log);
    slot->cursor.offset = 0;
}

/* The cursor fell too far behind. The member may come back and get what it missed. */
static void cut(struct audience *audience, struct slot *slot)
{
    let_go(audience, slot);
    if (connection_is_closing(slot->connection))
        return;
    audience->options.metrics->slow_closed++;
    connection_close(slot->connection, 4408, "too slow: come back and get what you missed");
}

static void move_cursor(struct audience *audience, struct slot *slot, struct room_log_cursor to)
{
    audience->options.metrics->messages_out += to.position - slot->cursor.position;
    slot->cursor = to;
}

/* Brings one member up to the head, as far as its socket takes it. */
static void serve(struct audience *audience, struct slot *slot)
{
    const struct room_log *log = audience->options.log;
    struct connection *connection = slot->connection;
    while (!connection_is_blocked(connection)) {
        struct iovec iov[MOST_IOVECS];
        struct iovec before = {NULL, 0};
        struct room_log_cursor end;
        const uint8_t *rest = NULL;
        int first = 0;
        if (connection_is_closing(connection))
            let_go(audience, slot);
        int count = room_log_gather(log, &slot->cursor, iov, MOST_IOVECS, &end);
        if (room_log_remainder(log, &slot->cursor, &rest) > 0) {
            before = iov[0];
            first = 1;
        }
        if (count == 0 && connection_private_len(connection) == 0) {
            slot->cursor = end;
            slot->plain_fd = connection_is_closing(connection) ? -1 : connection_fd(connection);
            return;
        }
        ssize_t sent = connection_write(connection, &before, iov + first, count - first);
        if (sent < 0) { /* it is dead: nothing may point into the log any more */
            let_go(audience, slot);
            return;
        }
        if (connection_is_blocked(connection)) {
            end = slot->cursor;
            room_log_advance(log, &end, (size_t)sent);
        }
        move_cursor(audience, slot, end);
    }
}

static void pump(void *arg, struct connection *connection)
{
    struct audience *audience = arg;
    struct slot *slot = find_slot(audience, connection);
    if (slot != NULL)
        serve(audience, slot);
}

/* Who is slow is left to its socket, unless it lags too far behind. */
static void serve_or_cut(struct audience *audience, struct slot *slot)
{
    uint64_t backlog = audience->options.backlog;
    if (!connection_is_blocked(slot->connection))
        serve(audience, slot);
    else if (backlog > 0 &&
             room_log_bytes_from(audience->options.log, slot->cursor.position) > backlog)
        cut(audience, slot);
    audience->behind |= connection_is_blocked(slot->connection);
}

/* --- All at once --- */

/* The socket did not take all of the pass' bytes. */
static void note_short(struct audience *audience, struct slot *slot, int32_t sent)
{
    if (sent < 0) {
        connection_abort(slot->connection);
        let_go(audience, slot);
        return;
    }
    audience->options.metrics->bytes_out += (uint32_t)sent;
    struct room_log_cursor end = slot->cursor;
    room_log_advance(audience->options.log, &end, (size_t)sent);
    move_cursor(audience, slot, end);
    connection_block(slot->connection);
    audience->behind = true;
}

/* The next members of this pass. */
static void serve_batch(struct audience *audience)
{
    struct sending sendings[SENDER_BATCH];
    uint32_t slots[SENDER_BATCH];
    size_t count = 0;
    uint32_t at = audience->flush_at;
    uint32_t until = at + SENDER_BATCH < audience->count ? at + SENDER_BATCH : audience->count;
    for (; at < until; at++) {
        struct slot *slot = &audience->slots[at];
        if (slot->plain_fd >= 0 && slot->cursor.position == audience->pass_from) {
            sendings[count].fd = slot->plain_fd;
            slots[count++] = at;
        } else if (slot->plain_fd < 0 || slot->cursor.position < audience->pass_to) {
            serve_or_cut(audience, slot);
        }
    }
    audience->flush_at = at;
    sender_send(audience->options.sender, sendings, count, audience->pass_data, audience->pass_len);
    uint64_t complete = 0;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &audience->slots[slots[i]];
        if ((size_t)sendings[i].sent == audience->pass_len) {
            slot->cursor.position = audience->pass_to;
            complete++;
        } else {
            note_short(audience, slot, sendings[i].sent);
        }
    }
    audience->options.metrics->messages_out += complete * (audience->pass_to - audience->pass_from);
    audience->options.metrics->bytes_out += complete * audience->pass_len;
}

/* --- Passes --- */

/* What everybody gets in this pass: the frames since the last one, in a row. */
static void begin_pass(struct audience *audience)
{
    const struct room_log *log = audience->options.log;
    audience->waiting = false;
    audience->behind = false;
    audience->flush_at = 0;
    audience->pass_from = audience->pass_to;
    audience->pass_to = room_log_find_bytes(log, audience->pass_from, MOST_PASS_BYTES);
    free(audience->merged);
    audience->merged = NULL;
    audience->pass_data = room_log_merge(log, audience->pass_from, audience->pass_to,
                                         &audience->merged, &audience->pass_len);
}

void audience_tell(struct audience *audience)
{
    if (audience->busy || audience->count == 0)
        return;
    audience->busy = audience->waiting = true; /* the pass begins when the turn has said all */
    audience->flush_at = 0;
    event_active(audience->flush_event, EV_TIMEOUT, 0);
}

/* A batch of a pass, then the sockets have their turn: what is said meanwhile is on its way through
 * Redis before the pass ends, and shares the next pass' system calls. With longer slices fewer
 * frames come back in time, and each pass costs nearly as much for less. */
static void on_flush(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval at_once = {0, 0};
    struct audience *audience = arg;
    if (audience->waiting)
        begin_pass(audience);
    serve_batch(audience);
    if (audience->flush_at >= audience->count) {
        audience->options.on_served(audience->options.owner, audience->pass_to);
        audience->busy = room_log_head(audience->options.log) != audience->pass_to;
        audience->waiting = audience->busy;
        audience->flush_at = 0;
    }
    if (audience->busy)
        event_add(audience->flush_event, &at_once);
}

/* --- Coming and going --- */

void audience_add(struct audience *audience, struct connection *connection, uint64_t position)
{
    uint64_t head = room_log_head(audience->options.log);
    make_room(audience);
    if (!audience->busy) /* nobody is behind, and with nobody here nothing was sent */
        audience->pass_to = head;
    audience->slots[audience->count] = (struct slot){
        .connection = connection,
        .cursor = {.position = position, .replayed = (uint32_t)(head - position)},
        .plain_fd = -1,
    };
    connection_set_slot(connection, audience->count++);
    connection_set_source(connection, &source, audience);
    audience->behind |= position < head;
    connection_wake(connection);
}

void audience_remove(struct audience *audience, struct connection *connection)
{
    struct slot *slot = find_slot(audience, connection);
    if (slot == NULL)
        return;
    let_go(audience, slot);
    connection_set_source(connection, NULL, NULL);
    remove_slot(audience, (uint32_t)(slot - audience->slots));
}

/* Only those who are not plain can be behind, between two passes. */
void audience_cut_at_tail(struct audience *audience)
{
    uint64_t tail = room_log_tail(audience->options.log);
    if (!audience->behind)
        return;
    for (uint32_t i = 0; i < audience->count; i++)
        if (audience->slots[i].cursor.position <= tail)
            cut(audience, &audience->slots[i]);
}
