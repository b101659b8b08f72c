#include "room/room.h"

#include "base/clock.h"
#include "base/cores.h"
#include "base/memory.h"
#include "history/presence_batch.h"
#include "history/replay_window.h"
#include "history/room_log.h"
#include "room/roster.h"
#include "room/subscribers.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRESENCE_WINDOW_US = 100000,   /* after a presence line, further ones are gathered so long, */
    PRESENCE_CROWD_US = 1000000,   /* or so long, when they are more than a line can name, */
    PRESENCE_LONGEST_US = 2000000, /* at most so long, */
    PRESENCE_SHARE = 40,           /* until the lines of all rooms took but so much of the time */
    PRESENCE_TICKS = 10,           /* Redis may keep who came and went for so much longer */
    SHORTEST_KEEP_MS = 5000,       /* a slow reader gets at least so long, whatever the retention */
};

struct room {
    struct room_options options;
    struct room_log *log;
    struct roster *roster;
    struct past *past; /* what of it can be replayed */
    struct audience *audience;
    bool gave_thin;     /* somebody was given a list that names fewer than it could */
    uint64_t seq;       /* of the last event in log and roster */
    uint64_t shown_seq; /* number of the last one that everybody was sent, but the slow */
    struct {
        uint64_t seq;   /* last number that fell off the log and that Redis still keeps; 0: none */
        unsigned ticks; /* for how long there has been one */
        bool said;      /* a message is among them */
    } forgotten;
    struct event *window_event;
    struct gathering *gathering; /* presence that is not shown yet */
    int64_t line_us;             /* when the latest line was appended, monotonic */
};

static void on_window(evutil_socket_t fd, short events, void *arg);
static void on_served(void *owner, uint64_t limit);

/* Workers that are more than the cores share their time: the room is on all of them, and a share
 * for each would be all there is. */
void room_lines_init(struct room_lines *lines, const struct config *config)
{
    *lines = (struct room_lines){
        .limit = {.share = pace_share(PRESENCE_SHARE, (int64_t)config->workers, cores_allowed()),
                  .longest_us = PRESENCE_LONGEST_US},
    };
}

struct room *room_new(const struct room_options *options)
{
    struct room *room = memory_new(sizeof *room);
    room->options = *options;
    room->log = room_log_new(options->config->retention_messages);
    room->roster = roster_new();
    room->past = past_new();
    room->gathering = gathering_new();
    const struct audience_options audience = {
        .all = options->audiences,
        .log = room->log,
        .backlog = options->config->backlog,
        .on_served = on_served,
        .owner = room,
    };
    room->audience = audience_new(&audience);
    room->window_event = evtimer_new(options->base, on_window, room);
    return room;
}

void room_free(struct room *room)
{
    if (room == NULL)
        return;
    event_free(room->window_event);
    gathering_free(room->gathering);
    audience_free(room->audience);
    room_log_free(room->log);
    past_free(room->past);
    roster_free(room->roster);
    free(room);
}

/* --- Forgetting --- */

/* Where the log shall begin, at most at `limit`: what is before is too old or too much. */
static uint64_t find_tail(const struct room *room, uint64_t limit)
{
    int64_t keep_ms = (int64_t)room->options.config->retention * 1000;
    if (keep_ms < SHORTEST_KEEP_MS)
        keep_ms = SHORTEST_KEEP_MS;
    int64_t oldest_ms = clock_monotonic_ms() - keep_ms;
    uint64_t tail = room_log_tail(room->log);
    uint64_t least = room_log_excess(room->log);
    while (tail < limit && (tail < least || room_log_mark(room->log, tail).at_ms < oldest_ms))
        tail++;
    return tail;
}

static void note_forgotten(struct room *room, uint64_t seq)
{
    room->forgotten.seq = seq;
    room->forgotten.said |= past_messages(room->past, seq - 1, seq) > 0;
}

/* Forgets what is too old or too much of the frames before `limit`; nobody but the slow is before
 * it when this is called. */
static void trim(struct room *room, uint64_t limit)
{
    uint64_t tail = find_tail(room, limit);
    if (tail > room_log_tail(room->log))
        audience_cut_before(room->audience, tail);
    while (room_log_tail(room->log) < tail) {
        struct room_log_mark oldest = room_log_mark(room->log, room_log_tail(room->log));
        if (past_forget(room->past, oldest.seq, room_log_tail(room->log)))
            note_forgotten(room, oldest.seq);
        room_log_evict(room->log);
    }
}

static void on_served(void *owner, uint64_t limit)
{
    struct room *room = owner;
    if (limit > room_log_tail(room->log))
        room->shown_seq = room_log_mark(room->log, limit - 1).seq;
    trim(room, limit);
}

/* --- Appending --- */

/* What a line is beside its text. */
enum { TRANSIENT = 1 /* nobody is told of it later */, URGENT = 2 /* somebody said it */ };

static void append(struct room *room, const char *json, size_t len, unsigned what)
{
    struct room_log_mark mark = {room->seq, clock_monotonic_ms(), (what & TRANSIENT) != 0};
    room_log_append(room->log, frame_new_text(json, len), mark);
    audience_tell(room->audience, (what & URGENT) != 0);
}

/* --- Presence, gathered --- */

static void wait_us(struct room *room, int64_t us)
{
    const struct timeval window = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    evtimer_add(room->window_event, &window);
}

/* How long the next line waits when there is one now. Each goes to everybody in the room: were all
 * rooms of a full gateway in a storm of people, lines would take all of its time. */
static int64_t find_window_us(const struct room *room)
{
    struct room_lines *lines = room->options.lines;
    int64_t us =
        pace_spend(&lines->pace, &lines->limit, room->line_us, audience_cost_us(room->audience));
    return us < PRESENCE_WINDOW_US ? PRESENCE_WINDOW_US : us;
}

static void show_gathered(struct room *room)
{
    if (!gathering_is_open(room->gathering))
        return;
    room->line_us = clock_monotonic_us();
    wait_us(room, find_window_us(room));
    struct text json = TEXT_EMPTY;
    gathering_write(room->gathering, &json);
    gathering_clear(room->gathering);
    append(room, json.data, json.len, 0);
    text_done(&json);
}

static void on_window(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct room *room = arg;
    metrics_begin_turn(room->options.metrics);
    int64_t left_us = room->line_us + PRESENCE_CROWD_US - clock_monotonic_us();
    if (left_us > 0 && gathering_is_full(room->gathering))
        wait_us(room, left_us);
    else
        show_gathered(room);
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
        append(room, event->json, event->len, TRANSIENT);
        return;
    }
    show_gathered(room);
    room->options.on_happened(room->options.owner, true);
    struct text json = TEXT_EMPTY;
    message_add_notice(&json, event->text);
    append(room, json.data, json.len, TRANSIENT | URGENT);
    text_done(&json);
}

void room_happen(struct room *room, const struct room_event *event)
{
    if (event->type == EVENT_TYPING || event->type == EVENT_NOTICE) {
        happen_transient(room, event);
        return;
    }
    if (event->type == EVENT_MESSAGE) {
        show_gathered(room); /* lines keep the order of their numbers */
        room->options.on_happened(room->options.owner, true);
    }
    room->seq = event->seq;
    past_note(room->past, event->seq, event->type == EVENT_MESSAGE);
    if (event->type == EVENT_PRESENCE) {
        roster_apply(room->roster, event);
        gather(room, event);
    } else {
        append(room, event->json, event->len, URGENT);
    }
    room->options.on_happened(room->options.owner, false);
}

static void tell_gap(struct room *room, const struct feed_gap *gap, const char *epoch)
{
    struct text json = TEXT_EMPTY;
    message_add_gap(&json, gap->missed, epoch, gap->seq);
    append(room, json.data, json.len, TRANSIENT | URGENT);
    text_done(&json);
    room->options.metrics->gaps++;
}

/* What is known of the numbers up to the fork stays, and can be replayed. What may be missing
 * behind it counts as messages. */
static void go_back(struct room *room, const struct feed_gap *gap)
{
    uint64_t head = room_log_head(room->log);
    if (gap->fork == 0) {
        past_begin(room->past, gap->seq, head);
        return;
    }
    room_log_fork(room->log, gap->fork);
    past_fork(room->past, gap->fork, head);
    if (gap->seq > gap->fork)
        past_skip(room->past, &(struct past_hole){gap->fork, gap->seq, gap->seq - gap->fork, head});
}

void room_gap(struct room *room, const struct feed_gap *gap, const char *epoch)
{
    show_gathered(room);
    uint64_t head = room_log_head(room->log);
    const struct past_hole hole = {room->seq, gap->seq, gap->missed, head};
    if (gap->anew) {
        go_back(room, gap);
        memset(&room->forgotten, 0, sizeof room->forgotten);
    } else {
        past_skip(room->past, &hole);
    }
    room->seq = gap->seq;
    if (gap->anew || gap->missed > 0)
        tell_gap(room, gap, epoch);
    room->options.on_happened(room->options.owner, false);
}

void room_epoch(struct room *room, const char *epoch)
{
    show_gathered(room);
    struct text json = TEXT_EMPTY;
    message_add_epoch(&json, epoch, room->seq);
    append(room, json.data, json.len, TRANSIENT | URGENT);
    text_done(&json);
    room->options.on_happened(room->options.owner, false);
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
    room->gave_thin = false;
    message_add_members(&json, room->seq, roster_count(room->roster), room_list(room, "", NULL));
    append(room, json.data, json.len, TRANSIENT | URGENT);
    text_done(&json);
}

bool room_owes_list(const struct room *room)
{
    return room->gave_thin && roster_count(room->roster) <= ROSTER_MOST &&
           !roster_is_thin(room->roster);
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
    struct room_view view = {
        .seq = room->seq, .from = room->seq, .count = roster_count(room->roster)};
    uint64_t position = room_log_head(room->log);
    if (entry->resumes && entry->since < room->seq)
        position = position_after(room, entry->since, &view.missed);
    else
        gathering_seen(room->gathering);
    if (position < room_log_head(room->log)) {
        struct room_log_mark mark = room_log_mark(room->log, position);
        view.from = mark.transient ? mark.seq : mark.seq - 1;
    }
    audience_add(room->audience, connection, position);
    return view;
}

void room_exit(struct room *room, struct connection *connection)
{
    audience_remove(room->audience, connection);
}

uint64_t room_messages_since(const struct room *room, uint64_t since)
{
    return past_messages(room->past, since, room->seq);
}

uint64_t room_shown_seq(const struct room *room)
{
    return room->shown_seq;
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
    return audience_count(room->audience);
}

const char *room_list(struct room *room, const char *id, const char *json)
{
    gathering_seen(room->gathering);
    room->gave_thin |= roster_is_thin(room->roster);
    return roster_list(room->roster, id, json);
}

uint64_t room_tick(struct room *room)
{
    if (!audience_is_busy(room->audience))
        trim(room, room_log_head(room->log));
    uint64_t seq = room->forgotten.seq;
    bool all = seq == room->seq;
    room->forgotten.ticks += seq != 0;
    if (all || (!room->forgotten.said && room->forgotten.ticks < PRESENCE_TICKS))
        return 0; /* all: until something happens again, and else the stream ends by itself */
    memset(&room->forgotten, 0, sizeof room->forgotten);
    return seq;
}
