#include "room/feed_read.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "broker/script_settings.h"
#include "broker/topic.h"
#include "protocol/scan.h"
#include "room/feed_internal.h"
#include "room/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Delivering --- */

/* Everything up to `seq`, the `message_count`th message included, has passed unseen. */
static void report_gap(struct feed *feed, uint64_t seq, uint64_t message_count)
{
    const struct feed_gap gap = {
        .seq = seq,
        .missed = message_count > feed->message_count && !feed->epoch_reset
                      ? message_count - feed->message_count
                      : 0,
        .epoch_reset = feed->epoch_reset,
        .fork = feed->epoch_reset ? feed->fork : 0,
    };
    feed->seq = seq;
    feed->message_count = message_count;
    feed->epoch_reset = false;
    feed->callbacks.on_gap(feed->owner, &gap);
}

bool feed_deliver(struct feed *feed, const struct room_event *event)
{
    if (event->seq != feed->seq + 1)
        return false;
    feed->seq = event->seq;
    feed->message_count += event->type == EVENT_MESSAGE;
    if (feed->reading_roster && event->type == EVENT_PRESENCE)
        event_queue_add(&feed->journal, event);
    feed->callbacks.on_event(feed->owner, event);
    return true;
}

static void drain_queue(struct feed *feed)
{
    struct event_queue queue = feed->queue;
    feed->queue = (struct event_queue){0};
    for (size_t i = 0; i < queue.count && !queue.overflowed && feed->owner != NULL; i++) {
        struct queued_event *queued = &queue.items[i];
        struct room_event event;
        if (queued->seq <= feed->seq || room_event_parse(queued->json, queued->len, 0, &event) != 0)
            continue;
        queue.overflowed = !feed_deliver(feed, &event);
        room_event_done(&event);
    }
    if (queue.overflowed && feed->owner != NULL)
        feed_read_kept(feed);
    event_queue_clear(&queue);
}

/* All that is kept was read: goes on with what came meanwhile. */
static void go_live(struct feed *feed)
{
    feed->state = FEED_LIVE;
    drain_queue(feed);
    if (feed->owner != NULL && feed->state == FEED_LIVE && !feed->started) {
        feed->started = true;
        feed->callbacks.on_live(feed->owner);
    }
}

/* A reply came that was counted in `in_flight`; a closed feed is freed with the last one. */
static void release_feed(struct feed *feed)
{
    if (--feed->in_flight == 0 && feed->owner == NULL)
        free(feed);
}

/* --- Kept events --- */

enum { PAGE_EVENTS = 500, KEPT_HEAD = 6, KEPT_FIELDS = 4 }; /* of recent.lua's answer */

struct kept {
    struct room_event event;
    int64_t at_ms;          /* when it was, monotonic */
    uint64_t message_count; /* so many events up to it were messages */
};

/* On opening nothing is missed up to the roster: there was nobody here. */
static void skip_to_roster(struct feed *feed)
{
    if (feed->started || feed->epoch_reset || feed->seq >= feed->roster_seq)
        return;
    feed->seq = feed->roster_seq;
    feed->message_count = feed->roster_message_count;
}

/* One that was kept: the roster of an opening feed may include it already. */
static void deliver_kept(struct feed *feed, const struct kept *kept)
{
    const struct room_event *event = &kept->event;
    if (event->seq > feed->roster_seq)
        skip_to_roster(feed);
    if (event->seq <= feed->roster_seq && !feed->epoch_reset) {
        feed->silent = kept->message_count == (event->type == EVENT_MESSAGE);
        if (event->seq > feed->seq)
            feed->callbacks.on_remember(feed->owner, event, kept->at_ms);
        feed->seq = event->seq;
        feed->message_count = kept->message_count;
        return;
    }
    if (event->seq > feed->seq + 1 || feed->epoch_reset)
        report_gap(feed, event->seq - 1,
                   kept->message_count - (kept->message_count > 0 && event->type == EVENT_MESSAGE));
    if (feed->owner != NULL)
        feed_deliver(feed, event);
}

/* Somebody may have put anything into the stream by hand. An event of ours stands under its own
 * number, and none is beyond the last: a greater one would hide all that are still to come. */
static bool read_entry(const struct redis_reply *reply, size_t at, struct kept *out)
{
    size_t len;
    uint64_t head = redis_reply_number(redis_reply_at(reply, 1));
    uint64_t now_ms = redis_reply_number(redis_reply_at(reply, 3));
    uint64_t number = redis_reply_number(redis_reply_at(reply, at));
    const char *json = redis_reply_string(redis_reply_at(reply, at + 2), &len);
    if (json == NULL || number > head || room_event_parse(json, len, 0, &out->event) != 0)
        return false;
    out->at_ms = clock_monotonic_ms() -
                 number_since(now_ms, redis_reply_number(redis_reply_at(reply, at + 1)));
    out->message_count = redis_reply_number(redis_reply_at(reply, at + 3));
    bool good = number > 0 && out->event.seq == number;
    if (!good)
        room_event_done(&out->event);
    return good;
}

/* Did it bring anything? */
static bool deliver_page(struct feed *feed, const struct redis_reply *reply)
{
    size_t count = redis_reply_count(reply);
    uint64_t before = feed->seq;
    for (size_t at = KEPT_HEAD; at + KEPT_FIELDS <= count && feed->owner != NULL;
         at += KEPT_FIELDS) {
        struct kept kept;
        if (!read_entry(reply, at, &kept))
            continue;
        if (kept.event.seq > feed->seq)
            deliver_kept(feed, &kept);
        room_event_done(&kept.event);
    }
    return feed->seq > before;
}

/* What was read and queued is of no use. Is it to be asked for again at once? Only once in a
 * second: of two Redis behind one address each answer could say something else than the one before,
 * for ever. */
static bool start_over(struct feed *feed)
{
    bool at_once = !feed->asked_again;
    feed->asked_again = true;
    event_queue_clear(&feed->queue);
    feed->read_up_to[0] = '\0';
    return at_once;
}

/* What was delivered is not what Redis goes on from: it lost its memory, or goes on with an older
 * one. Everything after `seq` is new here. */
static void change_epoch(struct feed *feed, const struct lineage *lineage, uint64_t seq)
{
    feed->lineage = *lineage;
    feed->seq = feed->fork = seq;
    feed->message_count = 0;
    feed->roster_seq = feed->roster_message_count = 0;
    feed->epoch_reset = true;
    if (start_over(feed))
        feed_read_kept(feed);
}

/* The roster that it was to open with is of a history that has ended meanwhile. */
static void open_again(struct feed *feed)
{
    feed->lineage = (struct lineage){.count = 0};
    feed->seq = feed->message_count = 0;
    feed->has_roster = false;
    feed->state = FEED_OPENING;
    if (start_over(feed))
        feed_read_roster(feed);
}

/* Everything that was delivered is in this lineage. */
static void go_on_in(struct feed *feed, const struct lineage *lineage)
{
    bool news = strcmp(feed->lineage.epoch, lineage->epoch) != 0;
    feed->lineage = *lineage;
    if (news && feed->started && !feed->epoch_reset)
        feed->callbacks.on_epoch(feed->owner);
}

/* Takes the answer's epoch up; false when it has to be asked for something else then. */
static bool take_lineage(struct feed *feed, const struct lineage *lineage, uint64_t head)
{
    uint64_t own = feed->seq;
    if (!feed->started && own < feed->roster_seq)
        own = feed->roster_seq;
    uint64_t seq = own;
    enum lineage_standing standing = feed->lineage.epoch[0] == '\0'
                                         ? LINEAGE_SHARED /* the roster did not tell: this one */
                                         : lineage_meet(lineage, &feed->lineage, &seq);
    if (standing == LINEAGE_SHARED && head >= own) {
        go_on_in(feed, lineage);
        return true;
    }
    if (!feed->started)
        open_again(feed);
    else /* shared: set back by hand */
        change_epoch(feed, lineage, standing == LINEAGE_SHARED ? 0 : seq);
    return false;
}

/* After the last page: what was neither read nor is kept any more has passed unseen. */
static void catch_up(struct feed *feed, uint64_t head, uint64_t message_count)
{
    skip_to_roster(feed);
    if (!feed->started && !feed->epoch_reset)
        return;
    const struct event_queue *queue = &feed->queue;
    uint64_t queued_from = queue->count > 0 ? queue->items[0].seq : UINT64_MAX;
    for (size_t i = 0; i < queue->count && queue->items[i].seq <= head; i++)
        message_count -= message_count > 0 && queue->items[i].message;
    if (queued_from <= head)
        head = queued_from - 1;
    if (head > feed->seq || feed->epoch_reset)
        report_gap(feed, head, message_count);
}

/* There may be more behind this page, which ended with the entry `last`. One that brought nothing
 * is followed by the next at the tick: whatever fills a stream, Redis is not kept busy with it. */
static void take_page(struct feed *feed, const struct redis_reply *reply, const char *last)
{
    bool news = deliver_page(feed, reply);
    if (feed->owner == NULL)
        return;
    snprintf(feed->read_up_to, sizeof feed->read_up_to, "%s", last);
    if (news)
        feed_read_kept(feed);
}

/* Then either what waits comes from a master that was replaced, or what was read does. */
static bool waits_for_another_epoch(const struct feed *feed)
{
    return feed->queue.count > 0 && feed->queue_epoch[0] != '\0' &&
           strcmp(feed->queue_epoch, feed->lineage.epoch) != 0;
}

static void take_last_page(struct feed *feed, const struct redis_reply *reply)
{
    deliver_page(feed, reply);
    if (feed->owner == NULL)
        return;
    if (waits_for_another_epoch(feed)) {
        if (start_over(feed))
            feed_read_kept(feed);
        return;
    }
    feed->read_up_to[0] = '\0';
    catch_up(feed, redis_reply_number(redis_reply_at(reply, 1)),
             redis_reply_number(redis_reply_at(reply, 2)));
    if (feed->owner != NULL)
        go_live(feed);
}

static void take_kept(struct feed *feed, const struct redis_reply *reply)
{
    const char *epoch = redis_reply_string(redis_reply_at(reply, 0), NULL);
    const char *forks = redis_reply_string(redis_reply_at(reply, 4), NULL);
    const char *last = redis_reply_string(redis_reply_at(reply, 5), NULL);
    uint64_t head = redis_reply_number(redis_reply_at(reply, 1));
    if (epoch == NULL || !lineage_is_epoch(epoch))
        return; /* feed_tick tries again */
    const struct lineage lineage = lineage_read(epoch, forks);
    if (!take_lineage(feed, &lineage, head) || feed->owner == NULL)
        return;
    if (last != NULL && last[0] != '\0' && strlen(last) < sizeof feed->read_up_to)
        take_page(feed, reply, last);
    else
        take_last_page(feed, reply);
}

static void on_kept_reply(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->reading = false;
    if (feed->owner == NULL || feed->state != FEED_READING)
        ; /* it is not wanted any more */
    else if (feed->kept_generation != feed->generation)
        feed_read_kept(feed);
    else
        take_kept(feed, reply);
    release_feed(feed);
}

void feed_read_kept(struct feed *feed)
{
    feed->state = FEED_READING;
    if (feed->reading)
        return;
    struct script_call call;
    topic_begin_call(&feed->topic, &call, "recent");
    script_add_number(&call, feed->seq);
    script_add_number(&call, PAGE_EVENTS);
    script_add_number(&call, script_settings_page_bytes(feed->commands->config));
    script_add(&call, feed->read_up_to);
    if (script_run(feed->commands->redis, &call, on_kept_reply, feed) != 0)
        return;
    feed->commands->metrics->stream_reads++;
    feed->reading = true;
    feed->kept_generation = feed->generation;
    feed->in_flight++;
}

/* --- The roster --- */

enum { ROSTER_LEAST = 3, ROSTER_HEAD = 4, ROSTER_FIELDS = 4 }; /* of roster.lua's answer */

/* NULL unless browsers can be shown it: they close on a frame that is not UTF-8, and whoever was
 * welcomed with such a name would be thrown out at once, again and again. */
static const char *read_shown(const struct redis_reply *reply)
{
    size_t len;
    const char *text = redis_reply_string(reply, &len);
    return text != NULL && strlen(text) == len && scan_is_utf8(text, len) ? text : NULL;
}

static void deliver_roster(struct feed *feed, const struct redis_reply *reply)
{
    struct message_person people[ROSTER_MOST];
    struct room_event roster = {
        .type = EVENT_PRESENCE,
        .seq = redis_reply_number(redis_reply_at(reply, 1)),
        .joined = people,
        .count = redis_reply_number(redis_reply_at(reply, 3)),
    };
    size_t end = redis_reply_count(reply);
    for (size_t i = ROSTER_HEAD; i + ROSTER_FIELDS <= end && roster.joined_count < ROSTER_MOST;
         i += ROSTER_FIELDS) {
        const char *id = read_shown(redis_reply_at(reply, i));
        const char *name = read_shown(redis_reply_at(reply, i + 1));
        const char *address = read_shown(redis_reply_at(reply, i + 2));
        const char *mark = read_shown(redis_reply_at(reply, i + 3));
        const struct message_who who = {id, name, address, mark};
        if (id != NULL && name != NULL && address != NULL && mark != NULL)
            people[roster.joined_count++] = (struct message_person){message_person_json(&who), id};
    }
    feed->callbacks.on_roster(feed->owner, &roster);
    for (size_t i = 0; i < roster.joined_count; i++)
        free(people[i].json);
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

/* The first one: the feed opens with it. */
static void open_with(struct feed *feed, const struct redis_reply *reply, const char *epoch)
{
    feed->has_roster = true;
    feed->lineage = lineage_read(epoch, NULL);
    feed->roster_seq = redis_reply_number(redis_reply_at(reply, 1));
    feed->roster_message_count = redis_reply_number(redis_reply_at(reply, 2));
    feed->silent = feed->roster_message_count == 0;
    deliver_roster(feed, reply);
    if (feed->owner != NULL && feed->state == FEED_OPENING)
        feed_read_kept(feed);
}

/* Where it does not tell the epoch, what is kept will. */
static void take_roster(struct feed *feed, const struct redis_reply *reply)
{
    const char *answered = redis_reply_string(redis_reply_at(reply, 0), NULL);
    const char *epoch = answered != NULL && lineage_is_epoch(answered) ? answered : "";
    bool whole = redis_reply_count(reply) >= ROSTER_LEAST;
    if (whole && !feed->has_roster) {
        open_with(feed, reply, epoch);
    } else if (!whole || feed->state != FEED_LIVE || feed->journal.overflowed) {
        feed->roster_wanted = true; /* feed_tick tries again */
    } else if (strcmp(epoch, feed->lineage.epoch) != 0) {
        feed->roster_wanted = true;
        feed_read_kept(feed);
    } else if (!feed->roster_wanted) {
        deliver_roster(feed, reply); /* events up to its number may come again: nothing changes */
        replay_journal(feed, redis_reply_number(redis_reply_at(reply, 1)));
    }
}

static void on_roster_reply(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->reading_roster = false;
    if (feed->owner != NULL && feed->roster_generation == feed->generation)
        take_roster(feed, reply);
    else if (feed->owner != NULL)
        feed_read_roster(feed);
    if (feed->owner != NULL && !feed->reading_roster)
        event_queue_clear(&feed->journal);
    release_feed(feed);
}

void feed_read_roster(struct feed *feed)
{
    feed->roster_wanted = true; /* one that is under way may be older than this wish */
    if (feed->reading_roster)
        return;
    struct script_call call;
    topic_begin_call(&feed->topic, &call, "roster");
    topic_add_key(&feed->topic, &call, "members", NULL);
    script_add_number(&call, ROSTER_MOST);
    topic_add_base(&feed->topic, &call, "member");
    if (limiter_run(feed->commands->list_limiter, &call, 1, on_roster_reply, feed) != 0)
        return;
    feed->reading_roster = true;
    feed->roster_generation = feed->generation;
    feed->roster_wanted = false;
    feed->in_flight++;
}
