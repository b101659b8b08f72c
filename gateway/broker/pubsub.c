#include "broker/pubsub.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/table.h"
#include "broker/topic.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_REPEATS = 64,    /* in a second */
    LOG_EVERY_MS = 60000, /* which channel is refused */
};

struct subscription {
    struct pubsub *pubsub;
    struct link refused; /* it is to be asked for again */
    const char *channel; /* NULL once removed */
    const struct pubsub_handler *handler;
    void *arg;
    unsigned in_flight; /* answers that will still come */
    bool subscribed;
    char *why; /* why it was refused, or NULL */
};

struct pubsub {
    struct redis *redis;
    struct log *log;
    struct table *subscriptions; /* by channel */
    struct link refused;
    int64_t logged_ms; /* 0: never */
};

static struct table_key channel_of(const void *value)
{
    const struct subscription *subscription = value;
    return (struct table_key){subscription->channel, strlen(subscription->channel)};
}

struct pubsub *pubsub_new(struct redis *subscriber, struct log *log)
{
    struct pubsub *pubsub = memory_new(sizeof *pubsub);
    pubsub->redis = subscriber;
    pubsub->log = log;
    pubsub->subscriptions = table_new(channel_of);
    list_init(&pubsub->refused);
    return pubsub;
}

static void forget_refusal(struct subscription *subscription)
{
    list_remove(&subscription->refused);
    free(subscription->why);
    subscription->why = NULL;
}

static void free_subscription(struct subscription *subscription)
{
    forget_refusal(subscription);
    free(subscription);
}

void pubsub_free(struct pubsub *pubsub)
{
    if (pubsub == NULL)
        return;
    struct subscription *subscription;
    for (size_t at = 0; (subscription = table_next(pubsub->subscriptions, &at)) != NULL; at = 0) {
        table_remove(pubsub->subscriptions, subscription);
        free_subscription(subscription);
    }
    table_free(pubsub->subscriptions);
    free(pubsub);
}

/* --- Subscribing --- */

/* One line a minute at most: rooms are many, and what they are refused for is one right. */
static void log_refused_channel(const struct subscription *subscription)
{
    struct pubsub *pubsub = subscription->pubsub;
    int64_t now_ms = clock_monotonic_ms();
    if (pubsub->logged_ms != 0 && now_ms - pubsub->logged_ms < LOG_EVERY_MS)
        return;
    pubsub->logged_ms = now_ms;
    struct key room;
    bool named = key_channel_room(subscription->channel, &room);
    log_write(pubsub->log,
              &(struct log_line){
                  .level = LOG_LEVEL_WARN,
                  .kind = "subscribe-refused",
                  .room = named ? room.text : NULL,
                  .message = "Redis does not let this gateway listen on a channel; it "
                             "is asked again every second",
                  .err = subscription->why,
                  .more = (const char *const[]){"channel", subscription->channel, NULL},
              });
}

static void note_refused(struct subscription *subscription, const struct redis_error *error)
{
    forget_refusal(subscription);
    subscription->why = memory_copy_string(error->text);
    list_add(&subscription->pubsub->refused, &subscription->refused);
    log_refused_channel(subscription);
}

static void on_subscribe_answered(void *arg, const struct redis_reply *reply)
{
    struct subscription *subscription = arg;
    struct redis_error error;
    subscription->in_flight--;
    if (subscription->channel == NULL) {
        if (subscription->in_flight == 0)
            free_subscription(subscription);
    } else if (reply == NULL) { /* lost, or late: then it is asked for again */
        list_remove(&subscription->refused);
        list_add(&subscription->pubsub->refused, &subscription->refused);
    } else if (redis_reply_error(reply, &error)) {
        note_refused(subscription, &error);
    } else if (!subscription->subscribed) {
        forget_refusal(subscription);
        subscription->subscribed = true;
        if (subscription->handler->on_subscribed != NULL)
            subscription->handler->on_subscribed(subscription->arg);
    }
}

static void send_subscribe(struct subscription *subscription)
{
    list_remove(&subscription->refused);
    if (redis_send_strings(subscription->pubsub->redis, on_subscribe_answered, subscription,
                           "SUBSCRIBE", subscription->channel, NULL) == 0)
        subscription->in_flight++;
}

void pubsub_add(struct pubsub *pubsub, const char *channel, const struct pubsub_handler *handler,
                void *arg)
{
    struct subscription *subscription = memory_new(sizeof *subscription);
    *subscription =
        (struct subscription){.pubsub = pubsub, .channel = channel, .handler = handler, .arg = arg};
    list_init(&subscription->refused);
    table_add(pubsub->subscriptions, subscription);
    send_subscribe(subscription);
}

void pubsub_remove(struct pubsub *pubsub, const char *channel)
{
    struct subscription *subscription = table_find(pubsub->subscriptions, channel, strlen(channel));
    if (subscription == NULL)
        return;
    redis_send_strings(pubsub->redis, NULL, NULL, "UNSUBSCRIBE", channel, NULL);
    table_remove(pubsub->subscriptions, subscription);
    list_remove(&subscription->refused);
    subscription->channel = NULL;
    if (subscription->in_flight == 0)
        free_subscription(subscription);
}

const char *pubsub_refused(const struct pubsub *pubsub, const char *channel)
{
    const struct subscription *subscription =
        table_find(pubsub->subscriptions, channel, strlen(channel));
    return subscription == NULL ? NULL : subscription->why;
}

/* --- The connection --- */

void pubsub_on_ready(struct pubsub *pubsub)
{
    struct subscription *subscription;
    for (size_t at = 0; (subscription = table_next(pubsub->subscriptions, &at)) != NULL;)
        send_subscribe(subscription);
}

void pubsub_on_lost(struct pubsub *pubsub)
{
    struct subscription *subscription;
    for (size_t at = 0; (subscription = table_next(pubsub->subscriptions, &at)) != NULL;) {
        list_remove(&subscription->refused); /* all are asked for when it is back */
        subscription->subscribed = false;
        if (subscription->handler->on_unsubscribed != NULL)
            subscription->handler->on_unsubscribed(subscription->arg);
    }
}

void pubsub_on_push(struct pubsub *pubsub, const struct redis_reply *message)
{
    size_t channel_len;
    size_t len;
    const char *channel = redis_reply_string(redis_reply_at(message, 1), &channel_len);
    const char *data = redis_reply_string(redis_reply_at(message, 2), &len);
    if (channel == NULL || data == NULL)
        return;
    const struct subscription *subscription =
        table_find(pubsub->subscriptions, channel, channel_len);
    if (subscription != NULL && subscription->handler->on_published != NULL)
        subscription->handler->on_published(subscription->arg, data, len);
}

void pubsub_tick(struct pubsub *pubsub)
{
    if (!redis_is_ready(pubsub->redis))
        return;
    for (int i = 0; i < MOST_REPEATS && !list_is_empty(&pubsub->refused); i++)
        send_subscribe(LIST_ITEM(pubsub->refused.next, struct subscription, refused));
}
