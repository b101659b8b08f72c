#include "room.h"

#include "clock.h"
#include "gathering.h"
#include "memory.h"
#include "past.h"
#include "room_log.h"
#include "roster.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLUSH_SLICE = 2048,          /* members served before the loop looks at its sockets again */
    PRESENCE_WINDOW_US = 100000, /* after a presence line, further ones are gathered so long */
    SHORTEST_KEEP_MS = 5000,     /* a slow reader gets at least so long, whatever the retention */
    MOST_IOVECS = 64,
};

/* A member: a connection and where it stands. */
struct slot {
    struct connection *connection;
    struct room_log_cursor cursor;
};

struct room {
    struct room_options options;
    struct room_log *log;
    struct roster *roster;
    struct past *past; /* what of it can be replayed */
    struct slot *slots;
    size_t slot_count, slot_capacity;
    uint64_t seq;       /* of the last event in log and roster */
    uint64_t forgotten; /* last number that fell off the log */
    size_t flush_at;    /* slots before this one were served in this pass */
    uint64_t pass_head; /* the log's head when the pass began: whoever was served has come so far */
    bool flushing;
    bool behind; /* somebody's cursor may be behind the head: the last pass found a full socket, or
                    a member came in behind */
    struct event *flush_event;
    struct event *window_event;
    struct gathering *gathering; /* presence that is not shown yet */
};

static void on_flush(evutil_socket_t fd, short events, void *arg);
static void on_window(evutil_socket_t fd, short events, void *arg);
static void pump(void *arg, struct connection *connection);

struct room *room_new(const struct room_options *options)
{
    struct room *room = memory_new(sizeof *room);
    room->options = *options;
    room->log = room_log_new(options->config->retention_messages);
    room->roster = roster_new();
    room->past = past_new();
    room->gathering = gathering_new();
    room->flush_event = event_new(options->base, -1, 0, on_flush, room);
    room->window_event = evtimer_new(options->base, on_window, room);
    return room;
}

void room_free(struct room *room)
{
    if (room == NULL)
        return;
    event_free(room->flush_event);
    event_free(room->window_event);
    gathering_free(room->gathering);
    room_log_free(room->log);
    past_free(room->past);
    roster_free(room->roster);
    free(room->slots);
    free(room);
}

/* --- Slots: dense, in flush order --- */

static struct slot *find_slot(struct room *room, const struct connection *connection)
{
    size_t index = connection_slot(connection);
    if (index < room->slot_count && room->slots[index].connection == connection)
        return &room->slots[index];
    return NULL;
}

static void move_slot(struct room *room, size_t to, size_t from)
{
    if (to == from)
        return;
    room->slots[to] = room->slots[from];
    connection_set_slot(room->slots[to].connection, to);
}

/* During a pass the slots before `flush_at` are done: a hole there is filled by the last done one,
 * and that one's place by the last of all, so that nobody is left out. */
static void remove_slot(struct room *room, size_t hole)
{
    if (room->flushing && hole < room->flush_at) {
        room->flush_at--;
        move_slot(room, hole, room->flush_at);
        hole = room->flush_at;
    }
    room->slot_count--;
    move_slot(room, hole, room->slot_count);
}

/* --- Sending --- */

static uint64_t lag_of(const struct room *room, const struct slot *slot)
{
    return room_log_bytes_from(room->log, slot->cursor.position);
}

/* Lets go of the log: what is left of a half-sent frame becomes the connection's own. */
static void let_go(struct room *room, struct slot *slot)
{
    const uint8_t *rest = NULL;
    size_t len = room_log_remainder(room->log, &slot->cursor, &rest);
    connection_send_first(slot->connection, rest, len);
    slot->cursor.position = room_log_head(room->log);
    slot->cursor.offset = 0;
}

/* The cursor fell too far behind. The member may come back and get what it missed. */
static void cut(struct room *room, struct slot *slot)
{
    let_go(room, slot);
    if (connection_is_closing(slot->connection))
        return;
    room->options.metrics->slow_closed++;
    connection_close(slot->connection, 4408, "too slow: come back and get what you missed");
}

/* Brings one member up to the head, as far as its socket takes it. */
static void serve(struct room *room, struct slot *slot)
{
    struct connection *connection = slot->connection;
    while (!connection_is_blocked(connection)) {
        struct iovec iov[MOST_IOVECS];
        struct iovec before = {NULL, 0};
        struct room_log_cursor end;
        const uint8_t *rest = NULL;
        int first = 0;
        int count = room_log_gather(room->log, &slot->cursor, iov, MOST_IOVECS, &end);
        if (connection_is_closing(connection)) {
            let_go(room, slot);
            count = 0;
            end = slot->cursor;
        } else if (room_log_remainder(room->log, &slot->cursor, &rest) > 0) {
            before = iov[0];
            first = 1;
        }
        if (count == 0 && connection_private_len(connection) == 0) {
            slot->cursor = end;
            return;
        }
        ssize_t sent = connection_write(connection, &before, iov + first, count - first);
        if (sent < 0)
            return;
        uint64_t from = slot->cursor.position;
        if (connection_is_blocked(connection))
            room_log_advance(room->log, &slot->cursor, (size_t)sent);
        else
            slot->cursor = end;
        room->options.metrics->messages_out += slot->cursor.position - from;
    }
}

static void pump(void *arg, struct connection *connection)
{
    struct room *room = arg;
    struct slot *slot = find_slot(room, connection);
    if (slot != NULL)
        serve(room, slot);
}

static bool must_go(const struct room *room, int64_t now_ms)
{
    if (room_log_tail(room->log) == room_log_head(room->log))
        return false;
    int64_t keep_ms = (int64_t)room->options.config->retention * 1000;
    if (keep_ms < SHORTEST_KEEP_MS)
        keep_ms = SHORTEST_KEEP_MS;
    return room_log_oldest(room->log).at_ms < now_ms - keep_ms || room_log_is_over(room->log);
}

/* Cuts those whose cursor is at or before the oldest frame. Only the blocked can be behind. */
static void cut_at_tail(struct room *room)
{
    uint64_t tail = room_log_tail(room->log);
    for (size_t i = 0; i < room->slot_count; i++)
        if (room->slots[i].cursor.position <= tail)
            cut(room, &room->slots[i]);
}

/* Forgets what is too old or too much of the frames before `limit`; nobody but the blocked is
 * before it when this is called. */
static void trim(struct room *room, uint64_t limit)
{
    int64_t now_ms = clock_monotonic_ms();
    while (room_log_tail(room->log) < limit && must_go(room, now_ms)) {
        struct room_log_mark oldest = room_log_oldest(room->log);
        if (room->behind)
            cut_at_tail(room);
        if (past_forget(room->past, oldest.seq, room_log_tail(room->log)))
            room->forgotten = oldest.seq;
        room_log_evict(room->log);
    }
}

static void begin_pass(struct room *room)
{
    room->behind = false;
    room->flush_at = 0;
    room->pass_head = room_log_head(room->log);
}

static void schedule_flush(struct room *room)
{
    if (room->flushing)
        return;
    room->flushing = true;
    begin_pass(room);
    event_active(room->flush_event, EV_TIMEOUT, 0);
}

/* One slice of a pass over all members. */
static void on_flush(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    static const struct timeval at_once = {0, 0};
    struct room *room = arg;
    uint64_t backlog = room->options.config->backlog;
    for (int served = 0; served < FLUSH_SLICE && room->flush_at < room->slot_count; served++) {
        struct slot *slot = &room->slots[room->flush_at++];
        if (!connection_is_blocked(slot->connection))
            serve(room, slot);
        else if (backlog > 0 && lag_of(room, slot) > backlog)
            cut(room, slot);
        room->behind |= connection_is_blocked(slot->connection);
    }
    bool done = room->flush_at >= room->slot_count;
    if (done)
        trim(room, room->pass_head);
    if (done && room_log_head(room->log) == room->pass_head) {
        room->flushing = false;
        return;
    }
    if (done) /* what came between two slices, the first members have not got */
        begin_pass(room);
    event_add(room->flush_event, &at_once); /* after the sockets had their turn */
}

static void append(struct room *room, struct frame *frame, struct room_log_mark mark)
{
    room_log_append(room->log, frame, mark);
    if (room->slot_count > 0)
        schedule_flush(room);
}

static void append_text(struct room *room, const char *json, size_t len, bool transient)
{
    struct room_log_mark mark = {room->seq, clock_monotonic_ms(), transient};
    append(room, frame_new_text(json, len), mark);
}

/* --- Presence, gathered --- */

static bool append_gathered(struct room *room)
{
    static const struct timeval window = {0, PRESENCE_WINDOW_US};
    if (!gathering_is_open(room->gathering))
        return false;
    struct text json = TEXT_EMPTY;
    gathering_take(room->gathering, &json);
    append_text(room, json.data, json.len, false);
    text_done(&json);
    evtimer_add(room->window_event, &window);
    return true;
}

static void show_gathered(struct room *room)
{
    if (append_gathered(room))
        room->options.on_shown(room->options.owner, room->seq);
}

static void on_window(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    show_gathered(arg);
}

static void gather(struct room *room, const struct room_event *event)
{
    gathering_add(room->gathering, event);
    if (!evtimer_pending(room->window_event, NULL))
        show_gathered(room);
}

/* --- What happens --- */

void room_start(struct room *room, uint64_t seq)
{
    room->seq = seq;
    past_begin(room->past, seq, room_log_head(room->log));
}

void room_remember(struct room *room, const struct room_event *event, int64_t at_ms)
{
    if (room_log_tail(room->log) == room_log_head(room->log))
        past_begin(room->past, event->seq - 1, room_log_head(room->log));
    past_note(room->past, event->seq, event->type == EVENT_MESSAGE);
    struct room_log_mark mark = {event->seq, at_ms, false};
    room_log_append(room->log, frame_new_text(event->json, event->len), mark);
}

static void happen_transient(struct room *room, const struct room_event *event)
{
    if (event->type == EVENT_TYPING) {
        append_text(room, event->json, event->len, true);
        return;
    }
    struct text json = TEXT_EMPTY;
    message_add_notice(&json, event->text);
    append_text(room, json.data, json.len, true);
    text_done(&json);
}

void room_happen(struct room *room, const struct room_event *event)
{
    if (event->type == EVENT_TYPING || event->type == EVENT_NOTICE) {
        happen_transient(room, event);
        return;
    }
    if (event->type == EVENT_MESSAGE)
        show_gathered(room); /* lines keep the order of their numbers */
    room->seq = event->seq;
    past_note(room->past, event->seq, event->type == EVENT_MESSAGE);
    if (event->type == EVENT_PRESENCE) {
        roster_apply(room->roster, event);
        gather(room, event);
        return;
    }
    append_text(room, event->json, event->len, false);
    room->options.on_shown(room->options.owner, room->seq);
}

static void tell_gap(struct room *room, const struct feed_gap *gap, const char *epoch)
{
    struct text json = TEXT_EMPTY;
    message_add_gap(&json, gap->missed, epoch, gap->seq);
    append_text(room, json.data, json.len, true);
    text_done(&json);
    room->options.metrics->gaps++;
}

void room_gap(struct room *room, const struct feed_gap *gap, const char *epoch)
{
    append_gathered(room);
    uint64_t head = room_log_head(room->log);
    const struct past_hole hole = {room->seq, gap->seq, gap->missed, head};
    if (gap->anew)
        past_begin(room->past, gap->seq, head);
    else
        past_skip(room->past, &hole);
    room->seq = gap->seq;
    if (gap->anew || gap->missed > 0)
        tell_gap(room, gap, epoch);
    room->options.on_shown(room->options.owner, room->seq);
}

void room_roster_begin(struct room *room)
{
    roster_clear(room->roster);
}

void room_roster_add(struct room *room, const char *id, const char *name, const char *address)
{
    roster_add(room->roster, id, message_person_json(id, name, address));
}

void room_roster_done(struct room *room, uint64_t count)
{
    roster_set_count(room->roster, count);
}

void room_roster_catch_up(struct room *room, const struct room_event *event)
{
    roster_apply(room->roster, event);
}

void room_tell_list(struct room *room)
{
    struct text json = TEXT_EMPTY;
    message_add_members(&json, room->seq, roster_count(room->roster),
                        roster_list(room->roster, "", NULL));
    append_text(room, json.data, json.len, true);
    text_done(&json);
}

bool room_roster_is_thin(const struct room *room)
{
    return roster_is_thin(room->roster);
}

/* --- Members --- */

/* Where in the log somebody starts who has seen everything up to `since`. */
static uint64_t position_after(const struct room *room, uint64_t since, uint64_t *missed)
{
    *missed = past_missed(room->past, since);
    if (room->options.config->retention == 0) { /* what the log has is for slow readers alone */
        *missed = past_messages(room->past, since, room->seq);
        return room_log_head(room->log);
    }
    return room_log_find(room->log, past_start(room->past), since);
}

struct room_view room_enter(struct room *room, struct connection *connection,
                            const struct room_entry *entry)
{
    struct room_view view = {0};
    view.seq = room->seq;
    view.count = roster_count(room->roster);
    if (room->slot_count == room->slot_capacity) {
        room->slot_capacity = room->slot_capacity == 0 ? 4 : room->slot_capacity * 2;
        room->slots = memory_resize(room->slots, room->slot_capacity, sizeof *room->slots);
    }
    uint64_t head = room_log_head(room->log);
    struct slot slot = {.connection = connection, .cursor = {.position = head, .live = head}};
    if (entry->resumes && entry->since < room->seq)
        slot.cursor.position = position_after(room, entry->since, &view.missed);
    room->slots[room->slot_count] = slot;
    connection_set_slot(connection, room->slot_count++);
    connection_set_source(connection, (struct connection_source){pump, room});
    room->behind |= slot.cursor.position < head; /* trim must look for it */
    connection_wake(connection);
    return view;
}

void room_exit(struct room *room, struct connection *connection)
{
    struct slot *slot = find_slot(room, connection);
    if (slot == NULL)
        return;
    let_go(room, slot);
    connection_set_source(connection, (struct connection_source){NULL, NULL});
    remove_slot(room, (size_t)(slot - room->slots));
}

uint64_t room_messages_since(const struct room *room, uint64_t since)
{
    return past_messages(room->past, since, room->seq);
}

uint64_t room_seq(const struct room *room)
{
    return room->seq;
}

bool room_is_gathering(const struct room *room)
{
    return gathering_is_open(room->gathering);
}

uint64_t room_count(const struct room *room)
{
    return roster_count(room->roster);
}

size_t room_members_here(const struct room *room)
{
    return room->slot_count;
}

const char *room_list(struct room *room, const char *id, const char *json)
{
    return roster_list(room->roster, id, json);
}

uint64_t room_tick(struct room *room)
{
    if (!room->flushing)
        trim(room, room_log_head(room->log));
    uint64_t forgotten = room->forgotten;
    room->forgotten = 0;
    return forgotten;
}
