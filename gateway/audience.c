#include "audience.h"

#include "memory.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_RUN_BYTES = 262144, /* to one socket at once; more is for the next round */
    MOST_IOVECS = 64,
    SMALLEST_SHRUNK = 64, /* slots: fewer are not worth the trouble */
};

/* A member: a connection and where it stands. Two fit into a cache line; a flush looks at nothing
 * else of those who are plain: whose cursor is at a frame's beginning, and whose connection has
 * neither bytes of its own nor a full socket, nor ends. */
struct slot {
    struct connection *connection;
    struct room_log_cursor cursor;
    int plain_fd; /* the socket; -1 for who is not plain and must be served one by one */
};

/* The flush goes round and round over the slots and never waits for an end: everybody gets what is
 * in the log when it comes by. What is said while it is under way goes to the next slots at once,
 * and to those before them on the next round, so that nobody waits longer than one round. */
struct audience {
    struct audience_options options;
    struct slot *slots;
    uint32_t count, capacity;
    uint32_t flush_at; /* the next slot; those before it have been visited in this round */
    uint32_t due;      /* so many slots from there on, and on from the first, lag behind the head */
    uint64_t round_from; /* the head when this round began: whoever was visited has all before it */
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
    free(audience->slots);
    free(audience);
}

size_t audience_count(const struct audience *audience)
{
    return audience->count;
}

bool audience_is_busy(const struct audience *audience)
{
    return audience->due > 0;
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

/* After a storm of people its room is given back. */
static void give_room_back(struct audience *audience)
{
    if (audience->capacity < SMALLEST_SHRUNK || audience->count > audience->capacity / 4)
        return;
    audience->capacity /= 2;
    audience->slots = memory_resize(audience->slots, audience->capacity, sizeof *audience->slots);
}

static void move_slot(struct audience *audience, uint32_t to, uint32_t from)
{
    if (to == from)
        return;
    audience->slots[to] = audience->slots[from];
    connection_set_slot(audience->slots[to].connection, to);
}

static uint32_t at_most(uint32_t number, uint32_t most)
{
    return number < most ? number : most;
}

/* A hole before `flush_at` is filled by the last visited slot, and that one's place by the last of
 * all, which is then the next to be visited: nobody is left out of a round. */
static void remove_slot(struct audience *audience, uint32_t hole)
{
    audience->count--;
    if (hole < audience->flush_at) {
        audience->flush_at--;
        move_slot(audience, hole, audience->flush_at);
        hole = audience->flush_at;
        audience->due += audience->due > 0;
    }
    move_slot(audience, hole, audience->count);
    audience->due = at_most(audience->due, audience->count);
    give_room_back(audience);
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
}

/* --- All at once --- */

/* Members who stand at one place in the log. */
struct run {
    uint64_t from;
    size_t count;
    struct sending sendings[SENDER_BATCH];
    struct slot *slots[SENDER_BATCH];
};

/* The socket did not take all of the run's bytes. */
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
}

static void send_run(struct audience *audience, struct run *run)
{
    const struct room_log *log = audience->options.log;
    struct metrics *metrics = audience->options.metrics;
    struct sender *sender = audience->options.sender;
    uint64_t complete = 0;
    size_t len;
    if (run->count == 0)
        return;
    uint64_t to = room_log_find_bytes(log, run->from, MOST_RUN_BYTES);
    const uint8_t *data = room_log_merge(log, run->from, to, sender_buffer(sender), &len);
    sender_send(sender, run->sendings, run->count, data, len);
    for (size_t i = 0; i < run->count; i++) {
        if ((size_t)run->sendings[i].sent == len) {
            run->slots[i]->cursor.position = to;
            complete++;
        } else {
            note_short(audience, run->slots[i], run->sendings[i].sent);
        }
    }
    metrics->messages_out += complete * (to - run->from);
    metrics->bytes_out += complete * len;
    if (to == room_log_head(log))
        return;
    audience->due = audience->count; /* that was not everything: once more round */
    if (audience->round_from > to)
        audience->round_from = to;
}

/* Visits the next slots, up to the end of the round, until `most` have been served. Returns how
 * many were. */
static size_t visit(struct audience *audience, size_t most)
{
    uint64_t head = room_log_head(audience->options.log);
    size_t one_by_one = 0;
    uint32_t until = at_most(audience->flush_at + audience->due, audience->count);
    uint32_t at = audience->flush_at;
    struct run run;
    run.count = 0;
    for (; at < until && run.count + one_by_one < most; at++) {
        struct slot *slot = &audience->slots[at];
        if (slot->plain_fd < 0) {
            serve_or_cut(audience, slot);
            one_by_one++;
        } else if (slot->cursor.position < head) {
            if (run.count > 0 && slot->cursor.position != run.from)
                break; /* somebody who came or was moved: a run of its own */
            run.from = slot->cursor.position;
            run.sendings[run.count].fd = slot->plain_fd;
            run.slots[run.count++] = slot;
        }
    }
    audience->due -= at - audience->flush_at;
    audience->flush_at = at;
    send_run(audience, &run);
    return run.count + one_by_one;
}

/* --- The flush --- */

static void end_round(struct audience *audience)
{
    audience->options.on_served(audience->options.owner, audience->round_from);
    audience->round_from = room_log_head(audience->options.log);
    audience->flush_at = 0;
}

/* A batch, then the sockets have their turn: what is said meanwhile is on its way through Redis,
 * and shares system calls with what was said before. With longer turns it comes back later. */
static void on_flush(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval at_once = {0, 0};
    struct audience *audience = arg;
    for (size_t sent = 0; sent < SENDER_BATCH && audience->due > 0;) {
        sent += visit(audience, SENDER_BATCH - sent);
        if (audience->flush_at >= audience->count)
            end_round(audience);
    }
    if (audience->due > 0) {
        event_add(audience->flush_event, &at_once);
        return;
    }
    audience->round_from = room_log_head(audience->options.log);
    audience->options.on_served(audience->options.owner, audience->round_from);
}

void audience_tell(struct audience *audience)
{
    if (audience->due == 0 && audience->count > 0)
        event_active(audience->flush_event, EV_TIMEOUT, 0); /* when the turn has said all */
    audience->due = audience->count;
}

/* --- Coming and going --- */

void audience_add(struct audience *audience, struct connection *connection, uint64_t position)
{
    uint64_t head = room_log_head(audience->options.log);
    make_room(audience);
    if (audience->flush_at + audience->due > audience->count) /* it will come by the new slot */
        audience->due++;
    audience->slots[audience->count] = (struct slot){
        .connection = connection,
        .cursor = {.position = position, .replayed = (uint32_t)(head - position)},
        .plain_fd = -1,
    };
    connection_set_slot(connection, audience->count++);
    connection_set_source(connection, &source, audience);
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

void audience_cut_before(struct audience *audience, uint64_t position)
{
    for (uint32_t i = 0; i < audience->count; i++)
        if (audience->slots[i].cursor.position < position)
            cut(audience, &audience->slots[i]);
}
