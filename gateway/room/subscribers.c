#include "base/memory.h"
#include "room/fanout_internal.h"
#include "websocket/output.h"

#include <stdlib.h>

enum {
    MOST_IOVECS = 64,
    SMALLEST_SHRUNK = 64, /* slots: fewer are not worth the trouble */
};

static void on_pending_output(void *arg, struct connection *connection);
static void pump(void *arg, struct connection *connection);

static const struct connection_source source = {on_pending_output, pump};

struct audience *audience_new(const struct audience_options *options)
{
    struct audience *audience = memory_new(sizeof *audience);
    audience->options = *options;
    list_init(&audience->in_line);
    return audience;
}

void audience_free(struct audience *audience)
{
    if (audience == NULL)
        return;
    list_remove(&audience->in_line);
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

static void on_pending_output(void *arg, struct connection *connection)
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
static void cut(struct audience *audience, struct slot *slot, enum refusal reason)
{
    let_go(audience, slot);
    if (connection_is_closing(slot->connection))
        return;
    audience->options.queue->metrics->slow_closed++;
    refusals_note(audience->options.queue->refusals, reason, NULL);
    connection_close(slot->connection, CONNECTION_TOO_SLOW,
                     "too slow: come back and get what you missed");
}

static void move_cursor(struct audience *audience, struct slot *slot, struct room_log_cursor to)
{
    audience->options.queue->metrics->messages_out += to.position - slot->cursor.position;
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
            slot->plain_fd = !connection_is_closing(connection) ? connection_fd(connection) : -1;
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

void audience_serve_or_cut(struct audience *audience, struct slot *slot)
{
    uint64_t backlog = audience->options.backlog;
    if (!connection_is_blocked(slot->connection)) {
        serve(audience, slot);
        return;
    }
    if (backlog > 0 && room_log_bytes_from(audience->options.log, slot->cursor.position) > backlog)
        cut(audience, slot, REFUSAL_BACKLOG);
}

void audience_note_short(struct audience *audience, struct slot *slot, int32_t sent)
{
    if (sent < 0) {
        connection_abort(slot->connection);
        let_go(audience, slot);
        return;
    }
    audience->options.queue->metrics->bytes_out += (uint32_t)sent;
    struct room_log_cursor end = slot->cursor;
    room_log_advance(audience->options.log, &end, (size_t)sent);
    move_cursor(audience, slot, end);
    connection_block(slot->connection);
}

/* --- Coming and going --- */

void audience_enqueue(struct audience *audience, bool urgent)
{
    struct audience_queue *queue = audience->options.queue;
    bool overtakes = urgent && !audience->urgent;
    if (!list_is_empty(&audience->in_line) && !overtakes)
        return;
    audience->urgent |= urgent;
    list_remove(&audience->in_line);
    list_add(audience->urgent ? &queue->urgent : &queue->calm, &audience->in_line);
}

void audience_tell(struct audience *audience, bool urgent)
{
    if (audience->count > 0)
        audience_enqueue(audience, urgent);
    audience->due = audience->count;
}

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
    connection_mark_dirty(connection);
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
            cut(audience, &audience->slots[i], REFUSAL_RETENTION);
}
