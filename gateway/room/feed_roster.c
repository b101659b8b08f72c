/* Who is in a room, as Redis has it. */
#include "room/feed_internal.h"

#include "broker/topic_call.h"

#include "protocol/scan.h"
#include "room/roster.h"

#include <string.h>

enum { ROSTER_LEAST = 3, ROSTER_HEAD = 4, ROSTER_FIELDS = 3 }; /* of roster.lua's answer */

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
    feed->callbacks.on_roster_begin(feed->owner);
    size_t count = redis_reply_count(reply);
    for (size_t i = ROSTER_HEAD; i + 2 < count && feed->owner != NULL; i += ROSTER_FIELDS) {
        const char *id = read_shown(redis_reply_at(reply, i));
        const char *name = read_shown(redis_reply_at(reply, i + 1));
        const char *address = read_shown(redis_reply_at(reply, i + 2));
        if (id != NULL && name != NULL && address != NULL)
            feed->callbacks.on_roster_add(feed->owner, id, name, address);
    }
    if (feed->owner != NULL)
        feed->callbacks.on_roster_done(feed->owner, redis_reply_number(redis_reply_at(reply, 3)));
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
    feed->roster_known = true;
    feed->lineage = lineage_read(epoch, NULL);
    feed->roster_seq = redis_reply_number(redis_reply_at(reply, 1));
    feed->roster_said = redis_reply_number(redis_reply_at(reply, 2));
    deliver_roster(feed, reply);
    if (feed->owner != NULL)
        feed->callbacks.on_start(feed->owner, feed->roster_seq);
    if (feed->owner != NULL && feed->state == FEED_OPENING)
        feed_read_kept(feed);
}

/* Where it does not tell the epoch, what is kept will. */
static void take_roster(struct feed *feed, const struct redis_reply *reply)
{
    const char *told = redis_reply_string(redis_reply_at(reply, 0), NULL);
    const char *epoch = told != NULL && lineage_is_epoch(told) ? told : "";
    bool whole = redis_reply_count(reply) >= ROSTER_LEAST;
    if (whole && !feed->roster_known) {
        open_with(feed, reply, epoch);
    } else if (!whole || feed->state != FEED_LIVE || feed->journal.overflowed) {
        feed->roster_wanted = true; /* feed_tick tries again */
    } else if (strcmp(epoch, feed->lineage.epoch) != 0) {
        feed->roster_wanted = true;
        feed_look(feed);
    } else if (!feed->roster_wanted) {
        deliver_roster(feed, reply); /* events up to its number may come again: nothing changes */
        replay_journal(feed, redis_reply_number(redis_reply_at(reply, 1)));
    }
}

static void on_roster(void *arg, const struct redis_reply *reply)
{
    struct feed *feed = arg;
    feed->reading_roster = false;
    if (feed->owner != NULL && feed->roster_asked == feed->generation)
        take_roster(feed, reply);
    else if (feed->owner != NULL)
        feed_read_roster(feed);
    if (feed->owner != NULL && !feed->reading_roster)
        event_queue_clear(&feed->journal);
    feed_release(feed);
}

void feed_read_roster(struct feed *feed)
{
    feed->roster_wanted = true; /* should one be under way: once more, it may be of before */
    if (feed->reading_roster)
        return;
    struct script_call call;
    topic_call_begin(&call, "roster", &feed->topic, &feed->commands->settings);
    topic_call_add_key(&call, &feed->topic, "members", NULL);
    script_add_number(&call, ROSTER_MOST);
    topic_call_add_base(&call, &feed->topic, "member");
    if (limiter_run(feed->commands->list_limiter, &call, 1, on_roster, feed) != 0)
        return;
    feed->reading_roster = true;
    feed->roster_asked = feed->generation;
    feed->roster_wanted = false;
    feed->in_flight++;
}
