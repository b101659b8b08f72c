#include "room/feed_internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* --- Delivering --- */

void feed_gap(struct feed *feed, uint64_t seq, uint64_t said)
{
    const struct feed_gap gap = {
        .seq = seq,
        .missed = said > feed->said && !feed->epoch_reset ? said - feed->said : 0,
        .epoch_reset = feed->epoch_reset,
        .fork = feed->epoch_reset ? feed->fork : 0,
    };
    feed->seq = seq;
    feed->said = said;
    feed->epoch_reset = false;
    feed->callbacks.on_gap(feed->owner, &gap);
}

bool feed_deliver(struct feed *feed, const struct room_event *event)
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

void feed_go_live(struct feed *feed)
{
    feed->state = FEED_LIVE;
    drain_queue(feed);
    if (feed->owner != NULL && feed->state == FEED_LIVE && !feed->started) {
        feed->started = true;
        feed->callbacks.on_live(feed->owner);
    }
}

/* --- What the channel tells --- */

/* Goes on with whatever is due and not under way. */
static void proceed(struct feed *feed)
{
    if (feed->state == FEED_UNSUBSCRIBED || feed->state == FEED_LIVE)
        return;
    if (feed->roster_known)
        feed_read_kept(feed);
    else if (!feed->reading_roster)
        feed_read_roster(feed);
}

static void on_subscribed(void *arg)
{
    struct feed *feed = arg;
    feed->state = FEED_OPENING;
    feed->generation++;
    feed_forget_page(feed);
    proceed(feed);
}

static void on_unsubscribed(void *arg)
{
    struct feed *feed = arg;
    feed->state = FEED_UNSUBSCRIBED;
    feed->generation++;
    event_queue_clear(&feed->queue);
}

void feed_on_up(struct feed *feed)
{
    proceed(feed);
}

void feed_look(struct feed *feed)
{
    if (feed->state == FEED_LIVE)
        feed_read_kept(feed);
}

void feed_tick(struct feed *feed)
{
    feed->hasty = false;
    proceed(feed);
    if (feed->state == FEED_LIVE && feed->roster_wanted)
        feed_read_roster(feed);
}

/* Foreign publications are logged once for each kind, counted and dropped. */
static void drop(struct feed *feed, int error)
{
    const char *kind = room_event_error_name(error);
    unsigned bit = 1u << (unsigned)-error;
    metrics_count_word(&feed->commands->metrics->dropped_events, kind);
    if ((feed->told & bit) != 0)
        return;
    feed->told |= bit;
    struct key room;
    bool named = key_channel_room(feed->topic.channel.text, &room);
    log_write(feed->commands->log,
              &(struct log_line){
                  .level = LOG_LEVEL_WARN,
                  .kind = "dropped-event",
                  .room = named ? room.text : NULL,
                  .message = "something was published that is no event of ours; "
                             "further ones of its kind are only counted",
                  .err = kind,
              });
}

/* Numbers go on in another epoch from here on. What came in the one before and was not delivered
 * yet is kept in Redis, as far as it is of this history. */
static void take_epoch(struct feed *feed, const char *epoch)
{
    if (feed->state == FEED_UNSUBSCRIBED || strcmp(epoch, feed->lineage.epoch) == 0)
        return;
    feed->generation++;
    event_queue_clear(&feed->queue);
    feed_forget_page(feed);
    if (feed->state != FEED_OPENING)
        feed_read_kept(feed);
}

static void take_event(struct feed *feed, const struct room_event *event)
{
    if (event->type == EVENT_EPOCH) {
        take_epoch(feed, event->epoch);
        return;
    }
    if (event->type == EVENT_TYPING || event->type == EVENT_NOTICE) {
        if (feed->started)
            feed->callbacks.on_event(feed->owner, event);
        return;
    }
    if (feed->state == FEED_LIVE && feed_deliver(feed, event))
        return;
    /* not the next one: a hole, or an old number because the epoch changed */
    event_queue_add(&feed->queue, event);
    if (feed->state == FEED_LIVE)
        feed_read_kept(feed);
}

static void on_published(void *arg, const char *data, size_t len)
{
    struct feed *feed = arg;
    struct room_event event;
    int error = room_event_parse(data, len, feed->commands->config->max_text, &event);
    if (error != 0) {
        drop(feed, error);
        return;
    }
    take_event(feed, &event);
    room_event_done(&event);
}

/* --- Life --- */

struct feed *feed_open(const struct feed_options *options, const char *room,
                       const struct feed_callbacks *callbacks, void *owner)
{
    static const struct pubsub_handler handler = {on_subscribed, on_unsubscribed, on_published};
    struct feed *feed = memory_new(sizeof *feed);
    feed->commands = options->commands;
    feed->pubsub = options->pubsub;
    feed->topic = topic_of(options->commands, options->commands->config, room);
    feed->callbacks = *callbacks;
    feed->owner = owner;
    pubsub_add(feed->pubsub, feed->topic.channel.text, &handler, feed);
    return feed;
}

void feed_close(struct feed *feed)
{
    pubsub_remove(feed->pubsub, feed->topic.channel.text);
    event_queue_clear(&feed->queue);
    event_queue_clear(&feed->journal);
    feed->owner = NULL;
    if (feed->in_flight == 0)
        free(feed);
}

void feed_release(struct feed *feed)
{
    if (--feed->in_flight == 0 && feed->owner == NULL)
        free(feed);
}

struct topic *feed_topic(struct feed *feed)
{
    return &feed->topic;
}

const char *feed_epoch(const struct feed *feed)
{
    return feed->lineage.epoch;
}

enum lineage_standing feed_stand(const struct feed *feed, const char *epoch, uint64_t *seq)
{
    return lineage_stand(&feed->lineage, epoch, seq);
}

uint64_t feed_unseen_from(const struct feed *feed)
{
    return lineage_unseen_from(&feed->lineage);
}

bool feed_is_settled(const struct feed *feed)
{
    return !feed->epoch_reset;
}

bool feed_has_forked(const struct feed *feed)
{
    return feed->lineage.count > 0;
}

bool feed_is_current(const struct feed *feed)
{
    return feed->state == FEED_LIVE;
}

bool feed_is_live(const struct feed *feed)
{
    return feed->started;
}
