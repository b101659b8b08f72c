#include "broker/internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "base/number.h"
#include "broker/publish_batch.h"
#include "broker/topic.h"
#include "redis/error_log.h"
#include "redis/limiter.h"
#include "redis/persistence.h"
#include "redis/tls.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    START_MS = 1000,
    TELL_EVERY_MS = 60000,
    PROBE_FRESH_MS = 10000,
    MOST_MEMBERS = 32, /* under way: two or three milliseconds of Redis' time, */
    MOST_LISTS = 4,    /* and as much, when each names 200 people */
};

void broker_flush(struct broker *broker)
{
    publish_batch_flush(broker->calls.publish_batch);
    limiter_flush(broker->calls.limiter);
    redis_flush(broker->commands);
    redis_flush(broker->subscriber);
}

int broker_enqueue(struct broker *broker, void (*make)(void *arg), void *arg)
{
    return limiter_enqueue(broker->calls.limiter, make, arg);
}

static void on_time(void *arg, const struct redis_reply *reply)
{
    struct broker *broker = arg;
    uint64_t seconds = redis_reply_number(redis_reply_at(reply, 0));
    uint64_t us = redis_reply_number(redis_reply_at(reply, 1));
    if (seconds > 0 && seconds < NUMBER_END / 1000)
        remote_clock_note(&broker->redis_clock, broker->time_asked_ms, clock_monotonic_ms(),
                          (int64_t)(seconds * 1000 + us / 1000));
    broker->time_asked_ms = 0;
}

static void ask_time(struct broker *broker)
{
    if (broker->time_asked_ms == 0 &&
        redis_send_strings(broker->commands, on_time, broker, "TIME", NULL) == 0)
        broker->time_asked_ms = clock_monotonic_ms();
}

/* The name is resolved anew. */
static void reconnect(struct broker *broker, const char *why)
{
    redis_reconnect(broker->subscriber, why);
    redis_reconnect(broker->commands, why);
}

/* Rooms' channels are not asked after: the probe's has their form. */
static void note_deafness(struct broker *broker)
{
    const char *const channels[] = {broker->probe_channel.text, broker->own_channel.text};
    broker->deaf[0] = '\0';
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const char *why = pubsub_refused(broker->pubsub, channels[i]);
        if (why != NULL)
            snprintf(broker->deaf, sizeof broker->deaf,
                     "Redis does not let us listen on %.160s: %s", channels[i], why);
    }
}

static void tick_probe(struct broker *broker)
{
    if (!broker_is_whole(broker))
        return;
    if (pubsub_refused(broker->pubsub, broker->probe_channel.text) != NULL)
        health_forget(broker->health); /* it could not come back */
    else if (!health_tick(broker->health))
        reconnect(broker, "a probe did not come back");
}

const char *broker_why_refused(const struct broker *broker)
{
    if (!broker_is_whole(broker))
        return NULL;
    return broker->deaf[0] != '\0' ? broker->deaf : health_refused(broker->health);
}

/* When it begins, once a minute at most, and when it is over. */
static void tell_refusal(struct broker *broker)
{
    int64_t now_ms = clock_monotonic_ms();
    const char *why = broker_why_refused(broker);
    bool lately = broker->refused_told_ms != 0 && now_ms - broker->refused_told_ms < TELL_EVERY_MS;
    if (why != NULL && !broker->refused_told && !lately) {
        log_write(broker->options.log,
                  &(struct log_line){.level = LOG_LEVEL_WARN,
                                     .kind = "redis-refuses",
                                     .message = "nobody can come in or talk until this is mended",
                                     .err = why});
        broker->refused_told = true;
        broker->refused_told_ms = now_ms;
    } else if (why == NULL && broker->refused_told && broker_is_healthy(broker)) {
        log_write(broker->options.log,
                  &(struct log_line){.kind = "redis-accepts", .message = "people can talk again"});
        broker->refused_told = false;
    }
}

void broker_tick(struct broker *broker)
{
    ask_time(broker);
    note_deafness(broker);
    pubsub_tick(broker->pubsub);
    redis_faults_tick(broker->faults, clock_monotonic_ms());
    tick_probe(broker);
    tell_refusal(broker);
}

const char *broker_why_not_ready(const struct broker *broker)
{
    if (!broker_is_whole(broker))
        return broker->lost[0] == '\0' ? "Redis is not connected yet" : broker->lost;
    const char *refused = broker_why_refused(broker);
    int64_t back_ms = health_back_ms(broker->health);
    if (refused != NULL)
        return refused;
    if (back_ms == 0 || clock_monotonic_ms() - back_ms > PROBE_FRESH_MS)
        return "no probe came back through Redis in the last 10 s";
    return NULL;
}

bool broker_is_healthy(const struct broker *broker)
{
    return broker_is_whole(broker) && health_is_good(broker->health);
}

int64_t broker_last_ok_ms(const struct broker *broker)
{
    return health_back_ms(broker->health);
}

const char *broker_incarnation(const struct broker *broker)
{
    return broker->incarnation;
}

bool broker_is_whole(const struct broker *broker)
{
    return redis_is_ready(broker->commands) && redis_is_ready(broker->subscriber);
}

bool broker_is_up(const struct broker *broker)
{
    return redis_is_ready(broker->commands);
}

/* --- Connections --- */

static void note_state(struct broker *broker)
{
    broker->options.metrics->redis_up = broker_is_whole(broker);
}

static void log_lost(const struct broker *broker, const char *why)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 64];
    redis_url_format(&broker->url, where);
    snprintf(message, sizeof message, "%s %s; trying again until it is there", where,
             health_back_ms(broker->health) != 0 ? "is out of reach" : "has not been reached yet");
    log_write(broker->options.log, &(struct log_line){
                                       .level = LOG_LEVEL_WARN,
                                       .kind = "redis-lost",
                                       .message = message,
                                       .err = why,
                                   });
}

static void on_either_ready(struct broker *broker)
{
    note_state(broker);
    if (!broker_is_whole(broker))
        return;
    broker->lost[0] = '\0';
    health_send(broker->health);
    broker->callbacks.on_up(broker->arg);
}

/* After a switchover one connection may reach the new master while the other one stays with the
 * old: what comes over the channel would be taken for the history that the scripts tell of. */
static bool ends_split(struct broker *broker)
{
    const char *commands = redis_run_id(broker->commands);
    const char *subscriber = redis_run_id(broker->subscriber);
    if (!broker_is_whole(broker) || commands[0] == '\0' || subscriber[0] == '\0' ||
        strcmp(commands, subscriber) == 0)
        return false;
    reconnect(broker, "its two connections have reached two different ones");
    return true;
}

static void on_commands_ready(void *arg)
{
    struct broker *broker = arg;
    if (ends_split(broker))
        return;
    broker->redis_clock = (struct remote_clock){0}; /* it may be another Redis */
    ask_time(broker);
    persistence_look(broker->persistence);
    script_load_all(broker->commands);
    on_either_ready(broker);
}

static void on_subscriber_ready(void *arg)
{
    struct broker *broker = arg;
    if (ends_split(broker))
        return;
    pubsub_on_ready(broker->pubsub);
    on_either_ready(broker);
}

/* One line for each outage, not one for each attempt; at the start Redis has a second to come up.
 */
static void on_lost(void *arg, const char *why)
{
    struct broker *broker = arg;
    bool starting = broker->told == BUS_NEW && clock_monotonic_ms() - broker->started_ms < START_MS;
    if (broker->told != BUS_LOST && !starting) {
        log_lost(broker, why);
        broker->told = BUS_LOST;
    }
    broker->deaf[0] = '\0';
    snprintf(broker->lost, sizeof broker->lost, "Redis cannot be reached: %s", why);
    health_forget(broker->health);
    note_state(broker);
}

static void on_subscriber_lost(void *arg, const char *why)
{
    struct broker *broker = arg;
    pubsub_on_lost(broker->pubsub);
    on_lost(broker, why);
}

/* Here is decided what every error reply means, whoever asked: the callers know what it means for
 * them. What is refused on the way of members, the probe finds refused as well. */
static void on_error(void *arg, const struct redis_error *error)
{
    struct broker *broker = arg;
    redis_faults_note(broker->faults, error);
    broker_check_password(broker, error);
    if (error->verdict == REDIS_RECONNECT)
        reconnect(broker, error->text);
    else if (error->verdict == REDIS_DOUBT)
        health_hurry(broker->health);
}

static void on_push(void *arg, const struct redis_reply *message)
{
    struct broker *broker = arg;
    pubsub_on_push(broker->pubsub, message);
}

static struct redis *new_redis(struct broker *broker, bool subscriber)
{
    const struct redis_callbacks callbacks = {
        .on_ready = subscriber ? on_subscriber_ready : on_commands_ready,
        .on_lost = subscriber ? on_subscriber_lost : on_lost,
        .on_error = on_error,
        .on_push = subscriber ? on_push : NULL,
    };
    char name[96];
    snprintf(name, sizeof name, "yukizuri-%s", broker->options.config->gateway_id);
    struct redis_options options = {
        .base = broker->options.base,
        .url = &broker->url,
        .tls = broker->tls,
        .turn = &broker->turn,
        .client_name = name,
        .subscriber = subscriber,
        .most = script_settings_most_reply(broker->options.config),
        .metrics = broker->options.metrics,
    };
    return redis_new(&options, &callbacks, broker);
}

static struct broker *new_bus(const struct broker_options *options,
                              const struct broker_callbacks *callbacks, void *arg)
{
    struct broker *broker = memory_new(sizeof *broker);
    broker->options = *options;
    broker->url = *options->url;
    broker->callbacks = *callbacks;
    broker->arg = arg;
    broker->started_ms = clock_monotonic_ms();
    uint8_t incarnation[6];
    digest_random(incarnation, sizeof incarnation);
    digest_base64url(incarnation, sizeof incarnation, broker->incarnation);
    return broker;
}

static void make_ways(struct broker *broker)
{
    const struct health_options probe = {
        .commands = broker->commands,
        .subscriber = broker->subscriber,
        .channel = broker->probe_channel.text,
        .base = broker->probe_base.text,
        .keeps = broker->options.config->retention > 0,
        .metrics = broker->options.metrics,
    };
    broker->health = health_new(&probe);
    broker->persistence =
        persistence_new(broker->commands, broker->options.metrics, broker->options.log);
}

static void make_calls(struct broker *broker)
{
    struct commands *calls = &broker->calls;
    script_settings_init(&calls->settings, broker->options.config);
    calls->config = broker->options.config;
    calls->metrics = broker->options.metrics;
    calls->log = broker->options.log;
    calls->redis = broker->commands;
    calls->redis_clock = &broker->redis_clock;
    calls->publish_batch = publish_batch_new(broker->commands, &calls->settings);
    calls->limiter = limiter_new(broker->commands, MOST_MEMBERS);
    calls->list_limiter = limiter_new(broker->commands, MOST_LISTS);
}

struct broker *broker_new(const struct broker_options *options,
                          const struct broker_callbacks *callbacks, void *arg, char *error,
                          size_t error_size)
{
    struct redis_tls *tls = NULL;
    if (options->url->tls) {
        tls = redis_tls_new(options->url->host, error, error_size);
        if (tls == NULL)
            return NULL;
    }
    script_hash_all();
    struct broker *broker = new_bus(options, callbacks, arg);
    broker->tls = tls;
    broker->faults = redis_faults_new(options->metrics, options->log);
    broker->commands = new_redis(broker, false);
    broker->subscriber = new_redis(broker, true);
    broker_make_channels(broker);
    make_ways(broker);
    make_calls(broker);
    return broker;
}

void broker_stop(struct broker *broker)
{
    if (broker == NULL)
        return;
    publish_batch_stop(broker->calls.publish_batch);
    redis_stop(broker->commands);
    redis_stop(broker->subscriber);
    limiter_stop(
        broker->calls.limiter); /* no answer will come to move those on who stand in line */
    limiter_stop(broker->calls.list_limiter);
}

void broker_free(struct broker *broker)
{
    if (broker == NULL)
        return;
    publish_batch_free(broker->calls.publish_batch);
    limiter_free(broker->calls.limiter);
    limiter_free(broker->calls.list_limiter);
    redis_free(broker->commands);
    redis_free(broker->subscriber);
    pubsub_free(broker->pubsub);
    redis_faults_free(broker->faults);
    redis_tls_free(broker->tls);
    health_free(broker->health);
    persistence_free(broker->persistence);
    free(broker);
}

const struct commands *broker_commands(const struct broker *broker)
{
    return &broker->calls;
}

struct pubsub *broker_pubsub(const struct broker *broker)
{
    return broker->pubsub;
}
