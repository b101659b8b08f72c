/* What Redis keeps of a room, page by page, and the epoch that it is of. */
#include "feed_internal.h"

#include "clock.h"
#include "text.h"

#include <string.h>

enum { PAGE_EVENTS = 500, KEPT_HEAD = 5, KEPT_FIELDS = 3 }; /* of recent.lua's answer */

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
        feed_gap(feed, event->seq - 1,
                 kept->said - (kept->said > 0 && event->type == EVENT_MESSAGE));
    feed_deliver(feed, event);
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
        if (kept.event.seq > 0) /* a message, or who came and went */
            deliver_kept(feed, &kept);
        room_event_done(&kept.event);
    }
}

/* What was delivered is not what Redis goes on from: it lost its memory, or goes on with an older
 * one. Everything after `seq` is new here. */
static void change_epoch(struct feed *feed, const struct lineage *lineage, uint64_t seq)
{
    feed->lineage = *lineage;
    feed->seq = feed->fork = seq;
    feed->said = 0;
    feed->roster_seq = feed->roster_said = 0;
    feed->rebase = true;
    event_queue_clear(&feed->queue);
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
    feed_read_roster(feed);
}

/* Everything that was delivered is in this lineage. */
static void go_on_in(struct feed *feed, const struct lineage *lineage)
{
    bool news = strcmp(feed->lineage.epoch, lineage->epoch) != 0;
    feed->lineage = *lineage;
    if (news && feed->started && !feed->rebase)
        feed->callbacks.on_epoch(feed->owner);
}

/* Takes the answer's epoch up; false when it has to be asked for something else then. */
static bool take_lineage(struct feed *feed, const struct lineage *lineage, uint64_t head)
{
    uint64_t known = feed->seq;
    if (!feed->started && known < feed->roster_seq)
        known = feed->roster_seq;
    uint64_t seq = known;
    enum lineage_standing standing = lineage_meet(lineage, &feed->lineage, &seq);
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
    if (!feed->started && !feed->rebase)
        return;
    const struct event_queue *queue = &feed->queue;
    uint64_t known_from = queue->count > 0 ? queue->items[0].seq : UINT64_MAX;
    for (size_t i = 0; i < queue->count && queue->items[i].seq <= head; i++)
        said -= queue->items[i].message;
    if (known_from <= head)
        head = known_from - 1;
    if (head > feed->seq || feed->rebase)
        feed_gap(feed, head, said);
}

static void take_kept(struct feed *feed, const struct redis_reply *reply)
{
    const char *epoch = redis_reply_string(redis_reply_at(reply, 0), NULL);
    const char *forks = redis_reply_string(redis_reply_at(reply, 4), NULL);
    uint64_t head = (uint64_t)redis_reply_integer(redis_reply_at(reply, 1));
    uint64_t said = (uint64_t)redis_reply_integer(redis_reply_at(reply, 2));
    if (epoch == NULL)
        return; /* feed_tick tries again */
    const struct lineage lineage = lineage_read(epoch, forks);
    if (!take_lineage(feed, &lineage, head))
        return;
    deliver_page(feed, reply);
    if (feed->owner == NULL)
        return;
    if (redis_reply_count(reply) >= KEPT_HEAD + (size_t)PAGE_EVENTS * KEPT_FIELDS) {
        feed_read_kept(feed);
        return;
    }
    catch_up(feed, head, said);
    feed_go_live(feed);
}

static void on_kept(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->reading = false;
    if (feed->owner == NULL || feed->state != FEED_READING)
        ; /* nobody wants to know */
    else if (feed->kept_asked != feed->hearing)
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
    struct bus_scratch scratch;
    char after[TEXT_NUMBER_BYTES];
    char most[TEXT_NUMBER_BYTES];
    text_number(feed->seq, after);
    text_number(PAGE_EVENTS, most);
    script_begin(&call, "recent");
    bus_begin(feed->bus, &call, &scratch, feed_room(feed));
    bus_end_keys(&call, &scratch);
    redis_words_add_string(&call.words, after);
    redis_words_add_string(&call.words, most);
    if (script_run(bus_commands(feed->bus), &call, on_kept, feed) != 0)
        return;
    bus_metrics(feed->bus)->stream_reads++;
    feed->reading = true;
    feed->kept_asked = feed->hearing;
    feed->in_flight++;
}
