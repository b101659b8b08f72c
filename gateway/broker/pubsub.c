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
    const char *key;     /* it is listened on where this is */
    uint64_t place;      /* where it was asked for last; 0: nowhere */
    const struct pubsub_handler *handler;
    void *arg;
    unsigned in_flight; /* answers that will still come */
    bool subscribed;
    char *why; /* why it was refused, or NULL */
};

struct pubsub {
    struct redis *redis;
    bool sharded;
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

struct pubsub *pubsub_new(struct redis *subscriber, bool sharded, struct log *log)
{
    struct pubsub *pubsub = memory_new(sizeof *pubsub);
    pubsub->redis = subscriber;
    pubsub->sharded = sharded;
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

/* A question to a place, which may be another one by the time of the answer. */
struct question {
    struct subscription *subscription;
    uint64_t place;
};

static void ask_again_later(struct subscription *subscription)
{
    list_remove(&subscription->refused);
    list_add(&subscription->pubsub->refused, &subscription->refused);
}

/* Was it asked of a node that has not the slot, or cannot say? */
static bool is_elsewhere(const struct redis_error *error)
{
    return strcmp(error->word, "MOVED") == 0 || strcmp(error->word, "CLUSTERDOWN") == 0;
}

static void note_subscribed(struct subscription *subscription)
{
    forget_refusal(subscription);
    subscription->subscribed = true;
    if (subscription->handler->on_subscribed != NULL)
        subscription->handler->on_subscribed(subscription->arg);
}

static void take_answer(struct subscription *subscription, const struct redis_reply *reply)
{
    struct redis_error error;
    bool refused = redis_reply_error(reply, &error);
    bool elsewhere = refused && is_elsewhere(&error);
    if (elsewhere)
        redis_look_again(subscription->pubsub->redis);
    if (reply == NULL || elsewhere) /* NULL: lost, or late */
        ask_again_later(subscription);
    else if (!refused)
        note_subscribed(subscription);
    else
        note_refused(subscription, &error);
}

static void on_subscribe_answered(void *arg, const struct redis_reply *reply)
{
    struct question *question = arg;
    struct subscription *subscription = question->subscription;
    uint64_t place = question->place;
    free(question);
    subscription->in_flight--;
    if (subscription->channel == NULL) {
        if (subscription->in_flight == 0)
            free_subscription(subscription);
    } else if (place == subscription->place && !subscription->subscribed) {
        take_answer(subscription, reply);
    }
}

static bool is_sharded(const struct subscription *subscription)
{
    return subscription->pubsub->sharded && subscription->handler->of_room;
}

static void send_subscribe(struct subscription *subscription)
{
    struct redis *redis = subscription->pubsub->redis;
    struct redis_words words = {0};
    struct question *question = memory_new(sizeof *question);
    list_remove(&subscription->refused);
    subscription->place = redis_place(redis, subscription->key);
    *question = (struct question){subscription, subscription->place};
    redis_words_add_string(&words, is_sharded(subscription) ? "SSUBSCRIBE" : "SUBSCRIBE");
    redis_words_add_string(&words, subscription->channel);
    if (subscription->place != 0 &&
        redis_send_at(redis, subscription->place, &words, on_subscribe_answered, question) == 0)
        subscription->in_flight++;
    else
        free(question);
    redis_words_done(&words);
}

/* Where it was asked for last, be that answered or not. */
static void send_unsubscribe(const struct subscription *subscription)
{
    struct redis *redis = subscription->pubsub->redis;
    struct redis_words words = {0};
    if (is_sharded(subscription)) {
        redis_unsubscribe_sharded_at(redis, subscription->place, subscription->channel);
        return;
    }
    redis_words_add_string(&words, "UNSUBSCRIBE");
    redis_words_add_string(&words, subscription->channel);
    redis_send_at(redis, subscription->place, &words, NULL, NULL);
    redis_words_done(&words);
}

void pubsub_add_beside(struct pubsub *pubsub, const char *channel, const char *key,
                       const struct pubsub_handler *handler, void *arg)
{
    struct subscription *subscription = memory_new(sizeof *subscription);
    *subscription = (struct subscription){
        .pubsub = pubsub, .channel = channel, .key = key, .handler = handler, .arg = arg};
    list_init(&subscription->refused);
    table_add(pubsub->subscriptions, subscription);
    send_subscribe(subscription);
}

void pubsub_add(struct pubsub *pubsub, const char *channel, const struct pubsub_handler *handler,
                void *arg)
{
    pubsub_add_beside(pubsub, channel, channel, handler, arg);
}

void pubsub_remove(struct pubsub *pubsub, const char *channel)
{
    struct subscription *subscription = table_find(pubsub->subscriptions, channel, strlen(channel));
    if (subscription == NULL)
        return;
    send_unsubscribe(subscription);
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

static void note_unsubscribed(struct subscription *subscription)
{
    subscription->subscribed = false;
    if (subscription->handler->on_unsubscribed != NULL)
        subscription->handler->on_unsubscribed(subscription->arg);
}

/* Handlers may neither add nor remove channels from within on_unsubscribed: it is a walk. */
void pubsub_follow(struct pubsub *pubsub)
{
    struct subscription *subscription;
    for (size_t at = 0; (subscription = table_next(pubsub->subscriptions, &at)) != NULL;) {
        uint64_t place = redis_place(pubsub->redis, subscription->key);
        bool waits = place != 0 && !list_is_empty(&subscription->refused) &&
                     subscription->why == NULL; /* the map may be another one */
        if (place == subscription->place && !waits)
            continue;
        if (place != subscription->place && subscription->place != 0) {
            send_unsubscribe(subscription); /* unless that connection is lost */
            note_unsubscribed(subscription);
        }
        send_subscribe(subscription);
    }
}

/* The node has not its slot any more. */
static void take_sunsubscribe(struct subscription *subscription)
{
    if (!subscription->subscribed ||
        redis_push_place(subscription->pubsub->redis) != subscription->place)
        return;
    note_unsubscribed(subscription);
    ask_again_later(subscription);
    redis_look_again(subscription->pubsub->redis);
}

void pubsub_on_push(struct pubsub *pubsub, const struct redis_reply *message)
{
    size_t channel_len;
    size_t len;
    const char *kind = redis_reply_string(redis_reply_at(message, 0), NULL);
    const char *channel = redis_reply_string(redis_reply_at(message, 1), &channel_len);
    const char *data = redis_reply_string(redis_reply_at(message, 2), &len);
    struct subscription *subscription =
        channel == NULL ? NULL : table_find(pubsub->subscriptions, channel, channel_len);
    if (subscription == NULL)
        return;
    if (kind != NULL && strcmp(kind, "sunsubscribe") == 0)
        take_sunsubscribe(subscription);
    else if (data != NULL && subscription->handler->on_published != NULL &&
             redis_push_place(pubsub->redis) == subscription->place)
        subscription->handler->on_published(subscription->arg, data, len);
}

void pubsub_tick(struct pubsub *pubsub)
{
    if (!redis_is_ready(pubsub->redis))
        return;
    for (int i = 0; i < MOST_REPEATS && !list_is_empty(&pubsub->refused); i++)
        send_subscribe(LIST_ITEM(pubsub->refused.next, struct subscription, refused));
}
