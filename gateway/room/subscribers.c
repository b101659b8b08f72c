#include "room/subscribers.h"

#include "base/memory.h"
#include "room/fanout_internal.h"
#include "websocket/output.h"

#include <stdlib.h>

enum {
    MOST_IOVECS = 64,
    SMALLEST_SHRUNK = 64, /* slots: fewer are not worth the trouble */
};

struct subscribers *subscribers_new(const struct subscribers_options *options)
{
    struct subscribers *subscribers = memory_new(sizeof *subscribers);
    subscribers->options = *options;
    list_init(&subscribers->in_queue);
    return subscribers;
}

void subscribers_free(struct subscribers *subscribers)
{
    if (subscribers == NULL)
        return;
    list_remove(&subscribers->in_queue);
    free(subscribers->slots);
    free(subscribers);
}

size_t subscribers_count(const struct subscribers *subscribers)
{
    return subscribers->count;
}

bool subscribers_is_busy(const struct subscribers *subscribers)
{
    return subscribers->due > 0;
}

/* --- Slots: dense, in flush order --- */

static struct slot *find_slot(struct subscribers *subscribers, const struct connection *connection)
{
    uint32_t index = connection_slot(connection);
    if (index < subscribers->count && subscribers->slots[index].connection == connection)
        return &subscribers->slots[index];
    return NULL;
}

/* By a quarter: a big room shall not hold twice what it needs. */
static void make_room(struct subscribers *subscribers)
{
    if (subscribers->count < subscribers->capacity)
        return;
    subscribers->capacity += subscribers->capacity < 16 ? 4 : subscribers->capacity / 4;
    subscribers->slots =
        memory_resize(subscribers->slots, subscribers->capacity, sizeof *subscribers->slots);
}

/* After a burst of people its room is given back. */
static void give_room_back(struct subscribers *subscribers)
{
    if (subscribers->capacity < SMALLEST_SHRUNK || subscribers->count > subscribers->capacity / 4)
        return;
    subscribers->capacity /= 2;
    subscribers->slots =
        memory_resize(subscribers->slots, subscribers->capacity, sizeof *subscribers->slots);
}

static void move_slot(struct subscribers *subscribers, uint32_t to, uint32_t from)
{
    if (to == from)
        return;
    subscribers->slots[to] = subscribers->slots[from];
    connection_set_slot(subscribers->slots[to].connection, to);
}

/* A hole before `flush_at` is filled by the last visited slot, and that one's place by the last of
 * all, which is then the next to be visited: nobody is left out of a round. */
static void remove_slot(struct subscribers *subscribers, uint32_t hole)
{
    subscribers->count--;
    if (hole < subscribers->flush_at) {
        subscribers->flush_at--;
        move_slot(subscribers, hole, subscribers->flush_at);
        hole = subscribers->flush_at;
        subscribers->due += subscribers->due > 0;
    }
    move_slot(subscribers, hole, subscribers->count);
    if (subscribers->due > subscribers->count)
        subscribers->due = subscribers->count;
    give_room_back(subscribers);
}

/* --- One by one --- */

static void on_pending_output(void *arg, struct connection *connection)
{
    struct slot *slot = find_slot(arg, connection);
    if (slot != NULL)
        slot->in_sync_fd = -1;
}

/* Lets go of the log: what is left of a half-sent frame becomes the connection's own. */
static void let_go(struct subscribers *subscribers, struct slot *slot)
{
    const struct room_log *log = subscribers->options.log;
    const uint8_t *rest = NULL;
    size_t len = room_log_remainder(log, &slot->cursor, &rest);
    connection_send_first(slot->connection, rest, len);
    slot->cursor.position = room_log_head(log);
    slot->cursor.offset = 0;
}

/* The cursor fell too far behind. The member may come back and get what it missed. */
static void cut(struct subscribers *subscribers, struct slot *slot, enum refusal reason)
{
    let_go(subscribers, slot);
    if (connection_is_closing(slot->connection))
        return;
    subscribers->options.queue->metrics->slow_closed++;
    refusals_note(subscribers->options.queue->refusals, reason, NULL);
    connection_close(slot->connection, CONNECTION_TOO_SLOW,
                     "too slow: come back and get what you missed");
}

static void move_cursor(struct subscribers *subscribers, struct slot *slot,
                        struct room_log_cursor to)
{
    subscribers->options.queue->metrics->messages_out += to.position - slot->cursor.position;
    slot->cursor = to;
}

/* Brings one member up to the head, as far as its socket takes it. */
static void serve(struct subscribers *subscribers, struct slot *slot)
{
    const struct room_log *log = subscribers->options.log;
    struct connection *connection = slot->connection;
    while (!connection_is_blocked(connection)) {
        struct iovec iov[MOST_IOVECS];
        struct iovec before = {NULL, 0};
        struct room_log_cursor end;
        const uint8_t *rest = NULL;
        int first = 0;
        if (connection_is_closing(connection))
            let_go(subscribers, slot);
        int count = room_log_gather(log, &slot->cursor, iov, MOST_IOVECS, &end);
        if (room_log_remainder(log, &slot->cursor, &rest) > 0) {
            before = iov[0];
            first = 1;
        }
        if (count == 0 && connection_private_len(connection) == 0) {
            slot->cursor = end;
            slot->in_sync_fd = !connection_is_closing(connection) ? connection_fd(connection) : -1;
            return;
        }
        ssize_t sent = connection_write(connection, &before, iov + first, count - first);
        if (sent < 0) { /* it is dead: nothing may point into the log any more */
            let_go(subscribers, slot);
            return;
        }
        if (connection_is_blocked(connection)) {
            end = slot->cursor;
            room_log_advance(log, &end, (size_t)sent);
        }
        move_cursor(subscribers, slot, end);
    }
}

static void pump(void *arg, struct connection *connection)
{
    struct subscribers *subscribers = arg;
    struct slot *slot = find_slot(subscribers, connection);
    if (slot != NULL)
        serve(subscribers, slot);
}

void subscribers_serve_or_cut(struct subscribers *subscribers, struct slot *slot)
{
    uint64_t backlog = subscribers->options.backlog;
    if (!connection_is_blocked(slot->connection)) {
        serve(subscribers, slot);
        return;
    }
    if (backlog > 0 &&
        room_log_bytes_from(subscribers->options.log, slot->cursor.position) > backlog)
        cut(subscribers, slot, REFUSAL_BACKLOG);
}

void subscribers_note_short(struct subscribers *subscribers, struct slot *slot, int32_t sent)
{
    if (sent < 0) {
        connection_abort(slot->connection);
        let_go(subscribers, slot);
        return;
    }
    subscribers->options.queue->metrics->bytes_out += (uint32_t)sent;
    struct room_log_cursor end = slot->cursor;
    room_log_advance(subscribers->options.log, &end, (size_t)sent);
    move_cursor(subscribers, slot, end);
    connection_block(slot->connection);
}

/* --- Coming and going --- */

void subscribers_enqueue(struct subscribers *subscribers, bool urgent)
{
    struct subscribers_queue *queue = subscribers->options.queue;
    bool overtakes = urgent && !subscribers->urgent;
    if (!list_is_empty(&subscribers->in_queue) && !overtakes)
        return;
    subscribers->urgent |= urgent;
    list_remove(&subscribers->in_queue);
    list_add(subscribers->urgent ? &queue->urgent : &queue->others, &subscribers->in_queue);
}

void subscribers_append(struct subscribers *subscribers, struct frame *frame,
                        struct room_log_mark mark, bool urgent)
{
    room_log_append(subscribers->options.log, frame, mark);
    if (subscribers->count > 0)
        subscribers_enqueue(subscribers, urgent);
    subscribers->due = subscribers->count;
}

void subscribers_add(struct subscribers *subscribers, struct connection *connection,
                     uint64_t position)
{
    static const struct connection_source source = {on_pending_output, pump};
    uint64_t head = room_log_head(subscribers->options.log);
    make_room(subscribers);
    /* does the round come by the new slot? */
    subscribers->due += subscribers->flush_at + subscribers->due > subscribers->count;
    subscribers->slots[subscribers->count] = (struct slot){
        .connection = connection,
        .cursor = {.position = position,
                   .replayed = (head - position) & 0x7fffffff,
                   .deflated = connection_is_deflated(connection)},
        .in_sync_fd = -1,
    };
    connection_set_slot(connection, subscribers->count++);
    connection_set_source(connection, &source, subscribers);
    connection_mark_dirty(connection);
}

void subscribers_remove(struct subscribers *subscribers, struct connection *connection)
{
    struct slot *slot = find_slot(subscribers, connection);
    if (slot == NULL)
        return;
    let_go(subscribers, slot);
    connection_set_source(connection, NULL, NULL);
    remove_slot(subscribers, (uint32_t)(slot - subscribers->slots));
}

void subscribers_cut_before(struct subscribers *subscribers, uint64_t position)
{
    for (uint32_t i = 0; i < subscribers->count; i++)
        if (subscribers->slots[i].cursor.position < position)
            cut(subscribers, &subscribers->slots[i], REFUSAL_RETENTION);
}
