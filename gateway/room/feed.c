#include "room/feed.h"

#include "base/memory.h"
#include "room/feed_internal.h"
#include "room/feed_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What the channel tells --- */

void feed_proceed(struct feed *feed)
{
    if (feed->state == FEED_UNSUBSCRIBED || feed->state == FEED_LIVE)
        return;
    if (feed->has_roster)
        feed_read_kept(feed);
    else if (!feed->reading_roster)
        feed_read_roster(feed);
}

/* What is queued, and what was asked for, says nothing of what comes from here on. */
static void begin_generation(struct feed *feed)
{
    feed->generation++;
    feed->read_up_to[0] = '\0';
    event_queue_clear(&feed->queue);
}

static void on_subscribed(void *arg)
{
    struct feed *feed = arg;
    feed->state = FEED_OPENING;
    begin_generation(feed);
    feed_proceed(feed);
}

static void on_unsubscribed(void *arg)
{
    struct feed *feed = arg;
    feed->state = FEED_UNSUBSCRIBED;
    begin_generation(feed);
}

void feed_check_epoch(struct feed *feed)
{
    if (feed->state == FEED_LIVE)
        feed_read_kept(feed);
}

void feed_tick(struct feed *feed)
{
    feed->asked_again = false;
    feed_proceed(feed);
    if (feed->state == FEED_LIVE && feed->roster_wanted)
        feed_read_roster(feed);
}

/* Foreign publications are logged once for each kind, counted and dropped. */
static void drop(struct feed *feed, int error)
{
    const char *kind = room_event_error_name(error);
    unsigned bit = 1u << (unsigned)-error;
    metrics_count_word(&feed->commands->metrics->dropped_events, kind);
    if ((feed->logged_errors & bit) != 0)
        return;
    feed->logged_errors |= bit;
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
    begin_generation(feed);
    if (feed->state != FEED_OPENING)
        feed_read_kept(feed);
}

/* What waits is of one epoch: of two, one is that of a master that was replaced. */
static void queue_event(struct feed *feed, const struct room_event *event, const char *epoch)
{
    if (feed->queue.count > 0 && strcmp(epoch, feed->queue_epoch) != 0)
        begin_generation(feed);
    snprintf(feed->queue_epoch, sizeof feed->queue_epoch, "%s", epoch);
    event_queue_add(&feed->queue, event);
}

/* `epoch`: of a numbered event, "" where it does not say. */
static void take_event(struct feed *feed, const struct room_event *event, const char *epoch)
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
    bool is_ours = epoch[0] == '\0' || strcmp(epoch, feed->lineage.epoch) == 0;
    if (feed->state == FEED_LIVE && is_ours && feed_deliver(feed, event))
        return;
    /* not the next one: a hole, an old number because the epoch changed, or of another epoch */
    queue_event(feed, event, epoch);
    if (feed->state == FEED_LIVE)
        feed_read_kept(feed);
}

/* In a cluster a blank and the epoch follow an event (prelude.lua). Returns how long it is without
 * them. */
static size_t cut_epoch(const char *data, size_t len, char out[MESSAGE_EPOCH_BYTES])
{
    const char *blank = len == 0 || data[len - 1] == '}' ? NULL : memrchr(data, ' ', len);
    out[0] = '\0';
    if (blank == NULL || data[0] != '{' || blank[-1] != '}')
        return len;
    size_t epoch_len = (size_t)(data + len - blank) - 1;
    if (epoch_len >= MESSAGE_EPOCH_BYTES)
        return len;
    memcpy(out, blank + 1, epoch_len);
    out[epoch_len] = '\0';
    if (lineage_is_epoch(out))
        return (size_t)(blank - data);
    out[0] = '\0';
    return len;
}

static void on_published(void *arg, const char *data, size_t len)
{
    struct feed *feed = arg;
    struct room_event event;
    char epoch[MESSAGE_EPOCH_BYTES];
    len = cut_epoch(data, len, epoch);
    int error = room_event_parse(data, len, feed->commands->config->max_text, &event);
    if (error != 0) {
        drop(feed, error);
        return;
    }
    take_event(feed, &event, epoch);
    room_event_done(&event);
}

/* --- Life --- */

struct feed *feed_open(const struct commands *commands, struct pubsub *pubsub, const char *room,
                       const struct feed_callbacks *callbacks, void *owner)
{
    static const struct pubsub_handler handler = {on_subscribed, on_unsubscribed, on_published,
                                                  .of_room = true};
    struct feed *feed = memory_new(sizeof *feed);
    feed->commands = commands;
    feed->pubsub = pubsub;
    feed->topic = topic_of(commands, commands->config, room);
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

struct topic *feed_topic(struct feed *feed)
{
    return &feed->topic;
}

const char *feed_epoch(const struct feed *feed)
{
    return feed->lineage.epoch;
}

const struct lineage *feed_lineage(const struct feed *feed)
{
    return &feed->lineage;
}

bool feed_is_settled(const struct feed *feed)
{
    return !feed->epoch_reset;
}

bool feed_is_current(const struct feed *feed)
{
    return feed->state == FEED_LIVE;
}

bool feed_was_silent(const struct feed *feed)
{
    return feed->silent;
}

bool feed_is_live(const struct feed *feed)
{
    return feed->started;
}
