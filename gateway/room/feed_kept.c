/* What Redis keeps of a room, page by page, and the epoch that it is of. */
#include "room/feed_internal.h"

#include "broker/topic_call.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_EVENTS = 500, KEPT_HEAD = 6, KEPT_FIELDS = 4 }; /* of recent.lua's answer */

struct kept {
    struct room_event event;
    int64_t at_ms; /* when it was, monotonic */
    uint64_t said; /* so many events up to it were messages */
};

/* On opening nothing is missed up to the roster: there was nobody here. */
static void skip_to_roster(struct feed *feed)
{
    if (feed->started || feed->epoch_reset || feed->seq >= feed->roster_seq)
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
    if (event->seq <= feed->roster_seq && !feed->epoch_reset) {
        if (event->seq > feed->seq)
            feed->callbacks.on_remember(feed->owner, event, kept->at_ms);
        feed->seq = event->seq;
        feed->said = kept->said;
        return;
    }
    if (event->seq > feed->seq + 1 || feed->epoch_reset)
        feed_gap(feed, event->seq - 1,
                 kept->said - (kept->said > 0 && event->type == EVENT_MESSAGE));
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
    out->said = redis_reply_number(redis_reply_at(reply, at + 3));
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

/* Whether to ask once more at once. Once in a second: of two Redis behind one address each answer
 * could say something else than the one before, for ever. */
static bool may_ask_again(struct feed *feed)
{
    bool first = !feed->hasty;
    feed->hasty = true;
    return first;
}

void feed_forget_page(struct feed *feed)
{
    feed->read_up_to[0] = '\0';
}

/* What was delivered is not what Redis goes on from: it lost its memory, or goes on with an older
 * one. Everything after `seq` is new here. */
static void change_epoch(struct feed *feed, const struct lineage *lineage, uint64_t seq)
{
    feed->lineage = *lineage;
    feed->seq = feed->fork = seq;
    feed->said = 0;
    feed->roster_seq = feed->roster_said = 0;
    feed->epoch_reset = true;
    event_queue_clear(&feed->queue);
    feed_forget_page(feed);
    if (may_ask_again(feed))
        feed_read_kept(feed);
}

/* The roster that it was to open with is of a history that has ended meanwhile. */
static void open_again(struct feed *feed)
{
    feed->lineage = (struct lineage){.count = 0};
    feed->seq = feed->said = 0;
    feed->roster_known = false;
    feed->state = FEED_OPENING;
    event_queue_clear(&feed->queue);
    feed_forget_page(feed);
    if (may_ask_again(feed))
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
    uint64_t known = feed->seq;
    if (!feed->started && known < feed->roster_seq)
        known = feed->roster_seq;
    uint64_t seq = known;
    enum lineage_standing standing = feed->lineage.epoch[0] == '\0'
                                         ? LINEAGE_SHARED /* the roster did not tell: this one */
                                         : lineage_meet(lineage, &feed->lineage, &seq);
    if (standing == LINEAGE_SHARED && head >= known) {
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
static void catch_up(struct feed *feed, uint64_t head, uint64_t said)
{
    skip_to_roster(feed);
    if (!feed->started && !feed->epoch_reset)
        return;
    const struct event_queue *queue = &feed->queue;
    uint64_t known_from = queue->count > 0 ? queue->items[0].seq : UINT64_MAX;
    for (size_t i = 0; i < queue->count && queue->items[i].seq <= head; i++)
        said -= said > 0 && queue->items[i].message;
    if (known_from <= head)
        head = known_from - 1;
    if (head > feed->seq || feed->epoch_reset)
        feed_gap(feed, head, said);
}

/* There may be more behind this page, which ended with the entry `last`. One that brought nothing
 * is followed by the next at the tick: whatever fills a stream, Redis has its rest. */
static void take_page(struct feed *feed, const struct redis_reply *reply, const char *last)
{
    bool news = deliver_page(feed, reply);
    if (feed->owner == NULL)
        return;
    snprintf(feed->read_up_to, sizeof feed->read_up_to, "%s", last);
    if (news)
        feed_read_kept(feed);
}

static void take_last_page(struct feed *feed, const struct redis_reply *reply)
{
    deliver_page(feed, reply);
    if (feed->owner == NULL)
        return;
    feed_forget_page(feed);
    catch_up(feed, redis_reply_number(redis_reply_at(reply, 1)),
             redis_reply_number(redis_reply_at(reply, 2)));
    if (feed->owner != NULL)
        feed_go_live(feed);
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

static void on_kept(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->reading = false;
    if (feed->owner == NULL || feed->state != FEED_READING)
        ; /* nobody wants to know */
    else if (feed->kept_asked != feed->generation)
        feed_read_kept(feed);
    else
        take_kept(feed, reply);
    feed_release(feed);
}

void feed_read_kept(struct feed *feed)
{
    feed->state = FEED_READING;
    if (feed->reading)
        return;
    struct script_call call;
    topic_call_begin(&call, "recent", &feed->topic, &feed->commands->settings);
    script_add_number(&call, feed->seq);
    script_add_number(&call, PAGE_EVENTS);
    script_add(&call, feed->commands->settings.page_bytes);
    script_add(&call, feed->read_up_to);
    if (script_run(feed->commands->redis, &call, on_kept, feed) != 0)
        return;
    feed->commands->metrics->stream_reads++;
    feed->reading = true;
    feed->kept_asked = feed->generation;
    feed->in_flight++;
}
