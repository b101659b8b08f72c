#include "room/room.h"

#include "base/clock.h"
#include "base/memory.h"
#include "room/internal.h"
#include "room/member_list.h"
#include "room/presence_line.h"
#include "room/retention.h"

#include <stdlib.h>
#include <string.h>

/* --- Appending --- */

/* What a frame is beside its text. */
enum {
    TRANSIENT = 1, /* it is not replayed */
    URGENT = 2     /* somebody said it */
};

/* Everybody here gets it. */
static void append(struct room *room, const char *json, size_t len, unsigned what)
{
    struct room_log_mark mark = {room->seq, clock_monotonic_ms(), (what & TRANSIENT) != 0};
    subscribers_append(room->subscribers, frame_new_text(json, len), mark, (what & URGENT) != 0);
}

/* The same; the text is freed. */
static void append_text(struct room *room, struct text *json)
{
    append(room, json->data, json->len, TRANSIENT | URGENT);
    text_done(json);
}

static void tell_happened(const struct room *room, bool hurry)
{
    room->rooms->callbacks.on_happened(room->owner, hurry);
}

/* --- The roster, as Redis has it --- */

/* What can be replayed begins after `seq`. */
static void begin_window(struct room *room, uint64_t seq)
{
    if (feed_was_silent(room->feed))
        replay_window_begin_silent(room->window, seq, room_log_head(room->log));
    else
        replay_window_begin(room->window, seq, room_log_head(room->log));
}

static void on_roster(void *owner, const struct room_event *roster)
{
    struct room *room = owner;
    roster_clear(room->roster);
    roster_apply(room->roster, roster);
    member_list_on_roster(room);
    if (!feed_is_live(room->feed)) {
        room->seq = roster->seq;
        begin_window(room, roster->seq);
    }
}

static void on_roster_event(void *owner, const struct room_event *event)
{
    struct room *room = owner;
    roster_apply(room->roster, event);
}

/* --- What happens --- */

static void on_remember(void *owner, const struct room_event *event, int64_t at_ms)
{
    struct room *room = owner;
    if (room_log_tail(room->log) == room_log_head(room->log))
        begin_window(room, event->seq - 1);
    replay_window_note(room->window, event->seq, event->type == EVENT_MESSAGE);
    struct room_log_mark mark = {event->seq, at_ms, false};
    room_log_append(room->log, frame_new_text(event->json, event->len), mark);
}

static void on_live(void *owner)
{
    const struct room *room = owner;
    room->rooms->callbacks.on_live(room->owner);
}

static void take_notice(struct room *room, const struct room_event *event)
{
    struct text json = TEXT_EMPTY;
    presence_line_flush(room);
    tell_happened(room, true);
    message_add_notice(&json, event->text, NULL);
    append_text(room, &json);
}

void room_clear(struct room *room, const char *text)
{
    struct text json = TEXT_EMPTY;
    presence_line_flush(room);
    tell_happened(room, true);
    room_log_silence(room->log);
    message_add_notice(&json, text, "clear");
    append_text(room, &json);
}

static void note_number(struct room *room, const struct room_event *event)
{
    room->seq = event->seq;
    replay_window_note(room->window, event->seq, event->type == EVENT_MESSAGE);
}

/* Lines keep the order of their numbers. */
static void take_message(struct room *room, const struct room_event *event)
{
    presence_line_flush(room);
    tell_happened(room, true);
    note_number(room, event);
    append(room, event->json, event->len, URGENT);
    tell_happened(room, false);
}

static void take_presence(struct room *room, const struct room_event *event)
{
    note_number(room, event);
    roster_apply(room->roster, event);
    presence_line_add(room, event);
    tell_happened(room, false);
}

static void on_event(void *owner, const struct room_event *event)
{
    if (event->type == EVENT_TYPING)
        append(owner, event->json, event->len, TRANSIENT);
    else if (event->type == EVENT_NOTICE)
        take_notice(owner, event);
    else if (event->type == EVENT_MESSAGE)
        take_message(owner, event);
    else
        take_presence(owner, event);
}

static void tell_gap(struct room *room, const struct feed_gap *gap)
{
    struct text json = TEXT_EMPTY;
    message_add_gap(&json, gap->missed, feed_epoch(room->feed), gap->seq);
    append_text(room, &json);
    room->rooms->commands->metrics->gaps++;
}

/* What is known of the numbers up to the fork stays, and can be replayed. What may be missing
 * behind it counts as messages. */
static void go_back(struct room *room, const struct feed_gap *gap)
{
    uint64_t head = room_log_head(room->log);
    if (gap->fork == 0) {
        replay_window_begin(room->window, gap->seq, head);
        return;
    }
    room_log_fork(room->log, gap->fork);
    replay_window_fork(room->window, gap->fork, head);
    if (gap->seq > gap->fork)
        replay_window_skip(room->window,
                           &(struct replay_hole){gap->fork, gap->seq, gap->seq - gap->fork, head});
}

/* Members are told, unless no message was among what passed unseen. Who came or went meanwhile is
 * read from Redis: when that lost its memory, after a lease, by which time all who are still there
 * have been reinstated. */
static void on_gap(void *owner, const struct feed_gap *gap)
{
    struct room *room = owner;
    presence_line_flush(room);
    if (gap->epoch_reset) {
        go_back(room, gap);
        memset(&room->forgotten, 0, sizeof room->forgotten);
    } else {
        replay_window_skip(room->window, &(struct replay_hole){room->seq, gap->seq, gap->missed,
                                                               room_log_head(room->log)});
    }
    room->seq = gap->seq;
    if (gap->epoch_reset || gap->missed > 0)
        tell_gap(room, gap);
    tell_happened(room, false);
    if (gap->epoch_reset)
        room->rooms->callbacks.on_reset(room->owner);
    member_list_schedule(room, gap->epoch_reset ? room->rooms->commands->config->lease * 1000 : 0);
}

/* Nothing was missed: members are told where they are. */
static void on_epoch(void *owner)
{
    struct room *room = owner;
    struct text json = TEXT_EMPTY;
    presence_line_flush(room);
    message_add_epoch(&json, feed_epoch(room->feed), room->seq);
    append_text(room, &json);
    tell_happened(room, false);
    room->rooms->callbacks.on_epoch(room->owner);
}

/* --- Life --- */

struct room *room_new(struct rooms *rooms, const char *name)
{
    struct room *room = memory_new(sizeof *room + strlen(name) + 1);
    memcpy(room->name, name, strlen(name) + 1);
    room->rooms = rooms;
    list_init(&room->in_rooms);
    room->owner = rooms->callbacks.on_made(rooms->arg, room);
    return room;
}

void room_open(struct room *room)
{
    static const struct feed_callbacks callbacks = {
        .on_roster = on_roster,
        .on_roster_event = on_roster_event,
        .on_remember = on_remember,
        .on_event = on_event,
        .on_gap = on_gap,
        .on_epoch = on_epoch,
        .on_live = on_live,
    };
    struct rooms *rooms = room->rooms;
    const struct config *config = rooms->commands->config;
    if (room_is_open(room))
        return;
    room->log = room_log_new(config->retention_messages);
    room_log_set_deflater(room->log, rooms->options.queue->deflater);
    room->roster = roster_new();
    room->window = replay_window_new();
    const struct subscribers_options subscribers = {
        .queue = rooms->options.queue,
        .log = room->log,
        .backlog = config->backlog,
        .on_served = retention_on_served,
        .owner = room,
    };
    room->subscribers = subscribers_new(&subscribers);
    presence_line_open(room);
    room->feed = feed_open(rooms->commands, broker_pubsub(rooms->options.broker), room->name,
                           &callbacks, room);
    rooms->open++;
    rooms->callbacks.on_opened(room->owner, true);
}

void room_free(struct room *room)
{
    if (room_is_open(room)) {
        feed_close(room->feed);
        room->rooms->open--;
        room->rooms->callbacks.on_opened(room->owner, false);
        presence_line_close(room);
        subscribers_free(room->subscribers);
        room_log_free(room->log);
        replay_window_free(room->window);
        roster_free(room->roster);
    }
    room->rooms->callbacks.on_freed(room->owner);
    free(room);
}

bool room_is_open(const struct room *room)
{
    return room->feed != NULL;
}

bool room_is_live(const struct room *room)
{
    return room->feed != NULL && feed_is_live(room->feed);
}

const char *room_name(const struct room *room)
{
    return room->name;
}

void *room_owner(const struct room *room)
{
    return room->owner;
}

struct feed *room_feed(const struct room *room)
{
    return room->feed;
}

struct topic *room_topic(const struct room *room)
{
    return feed_topic(room->feed);
}

/* --- Members --- */

/* Where in the log somebody starts who has seen everything up to `since`. */
static uint64_t position_after(const struct room *room, uint64_t since, uint64_t *missed)
{
    *missed = replay_window_missed(room->window, since);
    /* without retention, what the log has is for slow readers alone */
    if (room->rooms->commands->config->retention == 0) {
        *missed = replay_window_messages(room->window, since, room->seq);
        return room_log_head(room->log);
    }
    return room_log_find(room->log, replay_window_start(room->window), since);
}

struct room_view room_enter(struct room *room, struct connection *connection,
                            const struct room_arrival *arrival)
{
    struct room_view view = {
        .seq = room->seq, .from = room->seq, .count = roster_count(room->roster)};
    uint64_t position = room_log_head(room->log);
    if (arrival->resumes && arrival->since < room->seq)
        position = position_after(room, arrival->since, &view.missed);
    if (position < room_log_head(room->log)) {
        struct room_log_mark mark = room_log_mark(room->log, position);
        view.from = mark.transient ? mark.seq : mark.seq - 1;
    }
    subscribers_add(room->subscribers, connection, position);
    return view;
}

void room_exit(struct room *room, struct connection *connection)
{
    if (room_is_open(room))
        subscribers_remove(room->subscribers, connection);
}

uint64_t room_messages_since(const struct room *room, uint64_t since)
{
    return replay_window_messages(room->window, since, room->seq);
}

uint64_t room_delivered_seq(const struct room *room)
{
    return room->delivered_seq;
}

uint64_t room_seq(const struct room *room)
{
    return room->seq;
}

uint64_t room_count(const struct room *room)
{
    return roster_count(room->roster);
}

size_t room_members_here(const struct room *room)
{
    return subscribers_count(room->subscribers);
}
