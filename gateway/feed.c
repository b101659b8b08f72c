#include "feed.h"

#include "clock.h"
#include "event_queue.h"
#include "keys.h"
#include "lane.h"
#include "memory.h"
#include "roster.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_EVENTS = 500 };
enum { KEPT_HEAD = 4, KEPT_FIELDS = 3 };     /* of recent.lua's answer */
enum { ROSTER_HEAD = 3, ROSTER_FIELDS = 3 }; /* of roster.lua's */

enum state {
    UNSUBSCRIBED, /* nothing can be said */
    OPENING,      /* subscribed; the roster is being read for the first time */
    READING,      /* kept events are being read; what arrives meanwhile is queued */
    LIVE,
};

struct feed {
    struct bus *bus;
    struct key channel;
    struct feed_callbacks callbacks;
    void *owner; /* NULL once closed */
    enum state state;
    bool roster_known; /* opened once: the roster was exact at roster_seq */
    bool started;      /* on_live was called */
    bool rebase;       /* the epoch changed: what comes next is counted anew */
    bool reading;      /* a read of kept events is under way */
    bool reading_roster;
    unsigned told; /* kinds of foreign publications already logged, a bit each */
    uint64_t seq;  /* the last event delivered or remembered */
    uint64_t said; /* so many events up to it were messages */
    uint64_t roster_seq, roster_said;
    char epoch[MESSAGE_EPOCH_BYTES];
    struct event_queue queue;   /* what arrives while kept events are read */
    struct event_queue journal; /* presence delivered while the roster is on its way */
    bool roster_wanted;
    unsigned in_flight; /* replies that will still come */
    uint32_t outgoing;
};

static void read_kept(struct feed *feed);

/* --- Delivering --- */

/* Everything up to `seq`, where `said` events were messages, has passed unseen. */
static void gap(struct feed *feed, uint64_t seq, uint64_t said)
{
    const struct feed_gap gap = {
        .seq = seq,
        .missed = said > feed->said && !feed->rebase ? said - feed->said : 0,
        .anew = feed->rebase,
    };
    feed->seq = seq;
    feed->said = said;
    feed->rebase = false;
    feed->callbacks.on_gap(feed->owner, &gap);
}

/* Delivers the event if it is the next one. */
static bool deliver(struct feed *feed, const struct room_event *event)
{
    if (event->seq != feed->seq + 1)
        return false;
    feed->seq = event->seq;
    feed->said += event->type == EVENT_MESSAGE;
    if (feed->reading_roster && event->type == EVENT_PRESENCE)
        event_queue_add(&feed->journal, event);
    feed->callbacks.on_event(feed->owner, event);
    return true;
}

static void drain_queue(struct feed *feed)
{
    struct event_queue queue = feed->queue;
    feed->queue = (struct event_queue){0};
    for (size_t i = 0; i < queue.count && !queue.overflowed; i++) {
        struct queued_event *queued = &queue.items[i];
        struct room_event event;
        if (queued->seq <= feed->seq || room_event_parse(queued->json, queued->len, 0, &event) != 0)
            continue;
        queue.overflowed = !deliver(feed, &event);
        room_event_done(&event);
    }
    if (queue.overflowed)
        read_kept(feed);
    event_queue_clear(&queue);
}

static void go_live(struct feed *feed)
{
    feed->state = LIVE;
    drain_queue(feed);
    if (feed->state == LIVE && !feed->started) {
        feed->started = true;
        feed->callbacks.on_live(feed->owner);
    }
}

/* --- Kept events --- */

struct kept {
    struct room_event event;
    int64_t at_ms; /* when it was, monotonic */
    uint64_t said; /* so many events up to it were messages */
};

/* On opening nothing is missed up to the roster: there was nobody here. */
static void skip_to_roster(struct feed *feed)
{
    if (feed->started || feed->rebase || feed->seq >= feed->roster_seq)
        return;
    feed->seq = feed->roster_seq;
    feed->said = feed->roster_said;
}

/* One that was kept: the roster of an opening feed may include it already. */
static void deliver_kept(struct feed *feed, const struct kept *kept)
{
    const struct room_event *event = &kept->event;
    if (event->seq > feed->roster_seq)
        skip_to_roster(feed);
    if (event->seq <= feed->roster_seq && !feed->rebase) {
        if (event->seq > feed->seq)
            feed->callbacks.on_remember(feed->owner, event, kept->at_ms);
        feed->seq = event->seq;
        feed->said = kept->said;
        return;
    }
    if (event->seq > feed->seq + 1 || feed->rebase)
        gap(feed, event->seq - 1, kept->said - (kept->said > 0 && event->type == EVENT_MESSAGE));
    deliver(feed, event);
}

static void deliver_page(struct feed *feed, const struct redis_reply *reply)
{
    int64_t redis_now_ms = redis_reply_integer(redis_reply_at(reply, 3));
    int64_t now_ms = clock_monotonic_ms();
    size_t count = redis_reply_count(reply);
    for (size_t i = KEPT_HEAD; i + 2 < count && feed->owner != NULL; i += KEPT_FIELDS) {
        size_t len;
        struct kept kept;
        kept.at_ms = now_ms - (redis_now_ms - redis_reply_integer(redis_reply_at(reply, i)));
        kept.said = (uint64_t)redis_reply_integer(redis_reply_at(reply, i + 2));
        const char *json = redis_reply_string(redis_reply_at(reply, i + 1), &len);
        if (json == NULL || room_event_parse(json, len, 0, &kept.event) != 0)
            continue;
        if (kept.event.seq > 0)
            deliver_kept(feed, &kept);
        room_event_done(&kept.event);
    }
}

/* Redis lost its memory: numbers begin anew. */
static void change_epoch(struct feed *feed, const char epoch[MESSAGE_EPOCH_BYTES])
{
    memcpy(feed->epoch, epoch, sizeof feed->epoch);
    feed->seq = feed->said = 0;
    feed->roster_seq = feed->roster_said = 0;
    feed->rebase = true;
    event_queue_clear(&feed->queue);
    read_kept(feed);
}

/* After the last page: what was neither read nor is kept any more has passed unseen. */
static void catch_up(struct feed *feed, uint64_t head, uint64_t said)
{
    skip_to_roster(feed);
    if (!feed->started && !feed->rebase)
        return;
    const struct event_queue *queue = &feed->queue;
    uint64_t known_from = queue->count > 0 ? queue->items[0].seq : UINT64_MAX;
    for (size_t i = 0; i < queue->count && queue->items[i].seq <= head; i++)
        said -= queue->items[i].message;
    if (known_from <= head)
        head = known_from - 1;
    if (head > feed->seq || feed->rebase)
        gap(feed, head, said);
}

static void on_kept(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->in_flight--;
    feed->reading = false;
    if (feed->owner == NULL) {
        feed_close(feed);
        return;
    }
    const char *told = redis_reply_string(redis_reply_at(reply, 0), NULL);
    if (told == NULL || feed->state != READING)
        return; /* feed_tick tries again */
    char epoch[MESSAGE_EPOCH_BYTES];
    snprintf(epoch, sizeof epoch, "%s", told);
    uint64_t head = (uint64_t)redis_reply_integer(redis_reply_at(reply, 1));
    uint64_t said = (uint64_t)redis_reply_integer(redis_reply_at(reply, 2));
    if (feed->epoch[0] == '\0')
        memcpy(feed->epoch, epoch, sizeof feed->epoch);
    if (strcmp(epoch, feed->epoch) != 0 || head < feed->seq) {
        change_epoch(feed, epoch);
        return;
    }
    deliver_page(feed, reply);
    if (feed->owner == NULL)
        return;
    if (redis_reply_count(reply) >= KEPT_HEAD + (size_t)PAGE_EVENTS * KEPT_FIELDS) {
        read_kept(feed);
        return;
    }
    catch_up(feed, head, said);
    go_live(feed);
}

static void read_kept(struct feed *feed)
{
    feed->state = READING;
    if (feed->reading)
        return;
    struct script_call call;
    struct bus_scratch scratch;
    char after[TEXT_NUMBER_BYTES];
    char most[TEXT_NUMBER_BYTES];
    text_number(feed->seq, after);
    text_number(PAGE_EVENTS, most);
    script_begin(&call, "recent");
    bus_begin(feed->bus, &call, &scratch, feed->channel.text);
    bus_end_keys(&call, &scratch);
    redis_words_add_string(&call.words, after);
    redis_words_add_string(&call.words, most);
    if (script_run(bus_commands(feed->bus), &call, on_kept, feed) != 0)
        return;
    bus_metrics(feed->bus)->stream_reads++;
    feed->reading = true;
    feed->in_flight++;
}

/* --- The roster --- */

static void deliver_roster(struct feed *feed, const struct redis_reply *reply)
{
    feed->callbacks.on_roster_begin(feed->owner);
    size_t count = redis_reply_count(reply);
    for (size_t i = ROSTER_HEAD; i + 2 < count; i += ROSTER_FIELDS) {
        const char *id = redis_reply_string(redis_reply_at(reply, i), NULL);
        const char *name = redis_reply_string(redis_reply_at(reply, i + 1), NULL);
        const char *address = redis_reply_string(redis_reply_at(reply, i + 2), NULL);
        if (id != NULL && name != NULL && address != NULL)
            feed->callbacks.on_roster_add(feed->owner, id, name, address);
    }
    feed->callbacks.on_roster_done(feed->owner,
                                   (uint64_t)redis_reply_integer(redis_reply_at(reply, 2)));
}

/* What was delivered while the roster was on its way, and came after it. */
static void replay_journal(struct feed *feed, uint64_t seq)
{
    for (size_t i = 0; i < feed->journal.count; i++) {
        struct queued_event *queued = &feed->journal.items[i];
        struct room_event event;
        if (queued->seq <= seq || room_event_parse(queued->json, queued->len, 0, &event) != 0)
            continue;
        feed->callbacks.on_roster_event(feed->owner, &event);
        room_event_done(&event);
    }
}

static void on_roster(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->in_flight--;
    feed->reading_roster = false;
    if (feed->owner == NULL) {
        feed_close(feed);
        return;
    }
    if (redis_reply_count(reply) < ROSTER_HEAD) {
        event_queue_clear(&feed->journal);
        feed->roster_wanted = true; /* feed_tick tries again */
        return;
    }
    uint64_t seq = (uint64_t)redis_reply_integer(redis_reply_at(reply, 0));
    if (!feed->roster_known) {
        feed->roster_known = true;
        feed->roster_seq = seq;
        feed->roster_said = (uint64_t)redis_reply_integer(redis_reply_at(reply, 1));
        deliver_roster(feed, reply);
        feed->callbacks.on_start(feed->owner, seq);
        if (feed->state == OPENING)
            read_kept(feed);
    } else if (feed->state != LIVE || feed->journal.overflowed) {
        feed->roster_wanted = true;
    } else if (!feed->roster_wanted) {
        deliver_roster(feed, reply); /* events up to `seq` may come again: that changes nothing */
        replay_journal(feed, seq);
    }
    event_queue_clear(&feed->journal);
}

void feed_read_roster(struct feed *feed)
{
    feed->roster_wanted = true; /* should one be under way: once more, it may be of before */
    if (feed->reading_roster)
        return;
    struct script_call call;
    struct bus_scratch scratch;
    char most[TEXT_NUMBER_BYTES];
    struct key members = key_part(feed->channel.text, "members");
    struct key member = key_item(feed->channel.text, "member", "");
    text_number(ROSTER_MOST, most);
    script_begin(&call, "roster");
    bus_begin(feed->bus, &call, &scratch, feed->channel.text);
    bus_add_key(&call, members.text);
    bus_end_keys(&call, &scratch);
    redis_words_add_string(&call.words, most);
    redis_words_add_string(&call.words, member.text);
    if (lane_run(bus_list_lane(feed->bus), &call, 1, on_roster, feed) != 0)
        return;
    feed->reading_roster = true;
    feed->roster_wanted = false;
    feed->in_flight++;
}

/* --- What the bus tells --- */

/* Goes on with whatever is due and not under way. */
static void proceed(struct feed *feed)
{
    if (feed->state == UNSUBSCRIBED || feed->state == LIVE)
        return;
    if (feed->roster_known)
        read_kept(feed);
    else if (!feed->reading_roster)
        feed_read_roster(feed);
}

void feed_on_subscribed(struct feed *feed)
{
    feed->state = OPENING;
    proceed(feed);
}

void feed_on_unsubscribed(struct feed *feed)
{
    feed->state = UNSUBSCRIBED;
    event_queue_clear(&feed->queue);
}

void feed_on_commands(struct feed *feed)
{
    proceed(feed);
}

void feed_look(struct feed *feed)
{
    if (feed->state == LIVE)
        read_kept(feed);
}

void feed_tick(struct feed *feed)
{
    proceed(feed);
    if (feed->state == LIVE && feed->roster_wanted)
        feed_read_roster(feed);
}

/* Foreign publications are logged once for each kind, counted and dropped. */
static void drop(struct feed *feed, int error)
{
    const char *kind = room_event_error_name(error);
    unsigned bit = 1u << (unsigned)-error;
    metrics_count_word(&bus_metrics(feed->bus)->dropped_events, kind);
    if ((feed->told & bit) != 0)
        return;
    feed->told |= bit;
    log_write(bus_log(feed->bus),
              &(struct log_line){
                  .level = LOG_LEVEL_WARN,
                  .kind = "dropped-event",
                  .room = feed->channel.text,
                  .message = "something was published that is no event of ours; "
                             "further ones of its kind are only counted",
                  .err = kind,
              });
}

static void take_event(struct feed *feed, const struct room_event *event)
{
    if (event->type == EVENT_TYPING || event->type == EVENT_NOTICE) {
        if (feed->started)
            feed->callbacks.on_event(feed->owner, event);
        return;
    }
    if (feed->state == LIVE && deliver(feed, event))
        return;
    /* not the next one: a hole, or an old number because the epoch changed */
    event_queue_add(&feed->queue, event);
    if (feed->state == LIVE)
        read_kept(feed);
}

void feed_on_published(struct feed *feed, const char *data, size_t len)
{
    struct room_event event;
    int error = room_event_parse(data, len, bus_config(feed->bus)->max_text, &event);
    if (error != 0) {
        drop(feed, error);
        return;
    }
    take_event(feed, &event);
    room_event_done(&event);
}

/* --- Life --- */

struct feed *feed_open(struct bus *bus, const char *room, const struct feed_callbacks *callbacks,
                       void *owner)
{
    struct feed *feed = memory_new(sizeof *feed);
    feed->bus = bus;
    feed->channel = key_room(bus_config(bus)->redis_prefix, room);
    feed->callbacks = *callbacks;
    feed->owner = owner;
    bus_add_feed(bus, feed);
    return feed;
}

void feed_close(struct feed *feed)
{
    if (feed->owner != NULL) {
        bus_remove_feed(feed->bus, feed);
        event_queue_clear(&feed->queue);
        event_queue_clear(&feed->journal);
        feed->owner = NULL;
    }
    if (feed->in_flight == 0)
        free(feed);
}

struct bus *feed_bus(const struct feed *feed)
{
    return feed->bus;
}

const char *feed_channel(const struct feed *feed)
{
    return feed->channel.text;
}

uint32_t *feed_outgoing(struct feed *feed)
{
    return &feed->outgoing;
}

const char *feed_epoch(const struct feed *feed)
{
    return feed->epoch;
}

bool feed_is_settled_in(const struct feed *feed, const char *epoch)
{
    return !feed->rebase && strcmp(feed->epoch, epoch) == 0;
}

bool feed_is_current(const struct feed *feed)
{
    return feed->state == LIVE;
}

bool feed_is_live(const struct feed *feed)
{
    return feed->started;
}
