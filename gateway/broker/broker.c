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

void bus_flush(struct bus *bus)
{
    outbox_flush(bus->calls.publish_batch);
    lane_go(bus->calls.limiter);
    redis_flush(bus->commands);
    redis_flush(bus->subscriber);
}

int bus_await_turn(struct bus *bus, void (*make)(void *arg), void *arg)
{
    return lane_stand(bus->calls.limiter, make, arg);
}

static void on_time(void *arg, const struct redis_reply *reply)
{
    struct bus *bus = arg;
    uint64_t seconds = redis_reply_number(redis_reply_at(reply, 0));
    uint64_t us = redis_reply_number(redis_reply_at(reply, 1));
    if (seconds > 0 && seconds < NUMBER_END / 1000)
        remote_clock_note(&bus->redis_clock, bus->time_asked_ms, clock_monotonic_ms(),
                          (int64_t)(seconds * 1000 + us / 1000));
    bus->time_asked_ms = 0;
}

static void ask_time(struct bus *bus)
{
    if (bus->time_asked_ms == 0 &&
        redis_send_strings(bus->commands, on_time, bus, "TIME", NULL) == 0)
        bus->time_asked_ms = clock_monotonic_ms();
}

/* The name is resolved anew. */
static void reconnect(struct bus *bus, const char *why)
{
    redis_reconnect(bus->subscriber, why);
    redis_reconnect(bus->commands, why);
}

/* Rooms' channels are not asked after: the probe's has their form. */
static void note_deafness(struct bus *bus)
{
    const char *const channels[] = {bus->probe_channel.text, bus->own_channel.text};
    bus->deaf[0] = '\0';
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const char *why = pubsub_refused(bus->pubsub, channels[i]);
        if (why != NULL)
            snprintf(bus->deaf, sizeof bus->deaf, "Redis does not let us listen on %.160s: %s",
                     channels[i], why);
    }
}

static void tick_probe(struct bus *bus)
{
    if (!bus_is_whole(bus))
        return;
    if (pubsub_refused(bus->pubsub, bus->probe_channel.text) != NULL)
        probe_forget(bus->probe); /* it could not come back */
    else if (!probe_tick(bus->probe))
        reconnect(bus, "a probe did not come back");
}

const char *bus_why_refused(const struct bus *bus)
{
    if (!bus_is_whole(bus))
        return NULL;
    return bus->deaf[0] != '\0' ? bus->deaf : probe_refused(bus->probe);
}

/* When it begins, once a minute at most, and when it is over. */
static void tell_refusal(struct bus *bus)
{
    int64_t now_ms = clock_monotonic_ms();
    const char *why = bus_why_refused(bus);
    bool lately = bus->refused_told_ms != 0 && now_ms - bus->refused_told_ms < TELL_EVERY_MS;
    if (why != NULL && !bus->refused_told && !lately) {
        log_write(bus->options.log,
                  &(struct log_line){.level = LOG_LEVEL_WARN,
                                     .kind = "redis-refuses",
                                     .message = "nobody can come in or talk until this is mended",
                                     .err = why});
        bus->refused_told = true;
        bus->refused_told_ms = now_ms;
    } else if (why == NULL && bus->refused_told && bus_flows(bus)) {
        log_write(bus->options.log,
                  &(struct log_line){.kind = "redis-accepts", .message = "people can talk again"});
        bus->refused_told = false;
    }
}

void bus_tick(struct bus *bus)
{
    ask_time(bus);
    note_deafness(bus);
    pubsub_tick(bus->pubsub);
    redis_faults_tick(bus->faults, clock_monotonic_ms());
    tick_probe(bus);
    tell_refusal(bus);
}

const char *bus_why_not_ready(const struct bus *bus)
{
    if (!bus_is_whole(bus))
        return bus->lost[0] == '\0' ? "Redis is not connected yet" : bus->lost;
    const char *refused = bus_why_refused(bus);
    int64_t back_ms = probe_back_ms(bus->probe);
    if (refused != NULL)
        return refused;
    if (back_ms == 0 || clock_monotonic_ms() - back_ms > PROBE_FRESH_MS)
        return "no probe came back through Redis in the last 10 s";
    return NULL;
}

bool bus_flows(const struct bus *bus)
{
    return bus_is_whole(bus) && probe_flows(bus->probe);
}

int64_t bus_proven_ms(const struct bus *bus)
{
    return probe_back_ms(bus->probe);
}

const char *bus_life(const struct bus *bus)
{
    return bus->life;
}

bool bus_is_whole(const struct bus *bus)
{
    return redis_is_ready(bus->commands) && redis_is_ready(bus->subscriber);
}

bool bus_is_up(const struct bus *bus)
{
    return redis_is_ready(bus->commands);
}

/* --- Connections --- */

static void note_state(struct bus *bus)
{
    bus->options.metrics->redis_up = bus_is_whole(bus);
}

static void log_lost(const struct bus *bus, const char *why)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 64];
    redis_url_format(&bus->url, where);
    snprintf(message, sizeof message, "%s %s; trying again until it is there", where,
             probe_back_ms(bus->probe) != 0 ? "is out of reach" : "has not been reached yet");
    log_write(bus->options.log, &(struct log_line){
                                    .level = LOG_LEVEL_WARN,
                                    .kind = "redis-lost",
                                    .message = message,
                                    .err = why,
                                });
}

static void on_either_ready(struct bus *bus)
{
    note_state(bus);
    if (!bus_is_whole(bus))
        return;
    bus->lost[0] = '\0';
    probe_send(bus->probe);
    bus->callbacks.on_up(bus->arg);
}

/* After a switchover one connection may reach the new master while the other one stays with the
 * old: what comes over the channel would be taken for the history that the scripts tell of. */
static bool ends_split(struct bus *bus)
{
    const char *commands = redis_run_id(bus->commands);
    const char *subscriber = redis_run_id(bus->subscriber);
    if (!bus_is_whole(bus) || commands[0] == '\0' || subscriber[0] == '\0' ||
        strcmp(commands, subscriber) == 0)
        return false;
    reconnect(bus, "its two connections have reached two different ones");
    return true;
}

static void on_commands_ready(void *arg)
{
    struct bus *bus = arg;
    if (ends_split(bus))
        return;
    bus->redis_clock = (struct remote_clock){0}; /* it may be another Redis */
    ask_time(bus);
    redis_keeps_look(bus->keeps);
    script_load_all(bus->commands);
    on_either_ready(bus);
}

static void on_subscriber_ready(void *arg)
{
    struct bus *bus = arg;
    if (ends_split(bus))
        return;
    pubsub_on_ready(bus->pubsub);
    on_either_ready(bus);
}

/* One line for each outage, not one for each attempt; at the start Redis has a second to come up.
 */
static void on_lost(void *arg, const char *why)
{
    struct bus *bus = arg;
    bool starting = bus->told == BUS_NEW && clock_monotonic_ms() - bus->started_ms < START_MS;
    if (bus->told != BUS_LOST && !starting) {
        log_lost(bus, why);
        bus->told = BUS_LOST;
    }
    bus->deaf[0] = '\0';
    snprintf(bus->lost, sizeof bus->lost, "Redis cannot be reached: %s", why);
    probe_forget(bus->probe);
    note_state(bus);
}

static void on_subscriber_lost(void *arg, const char *why)
{
    struct bus *bus = arg;
    pubsub_on_lost(bus->pubsub);
    on_lost(bus, why);
}

/* Here is decided what every error reply means, whoever asked: the callers know what it means for
 * them. What is refused on the way of members, the probe finds refused as well. */
static void on_error(void *arg, const struct redis_error *error)
{
    struct bus *bus = arg;
    redis_faults_note(bus->faults, error);
    bus_doubt_password(bus, error);
    if (error->verdict == REDIS_RECONNECT)
        reconnect(bus, error->text);
    else if (error->verdict == REDIS_DOUBT)
        probe_hurry(bus->probe);
}

static void on_push(void *arg, const struct redis_reply *message)
{
    struct bus *bus = arg;
    pubsub_on_push(bus->pubsub, message);
}

static struct redis *new_redis(struct bus *bus, bool subscriber)
{
    const struct redis_callbacks callbacks = {
        .on_ready = subscriber ? on_subscriber_ready : on_commands_ready,
        .on_lost = subscriber ? on_subscriber_lost : on_lost,
        .on_error = on_error,
        .on_push = subscriber ? on_push : NULL,
    };
    char name[96];
    snprintf(name, sizeof name, "yukizuri-%s", bus->options.config->gateway_id);
    struct redis_options options = {
        .base = bus->options.base,
        .url = &bus->url,
        .tls = bus->tls,
        .turn = &bus->turn,
        .client_name = name,
        .subscriber = subscriber,
        .most = script_settings_most_reply(bus->options.config),
        .metrics = bus->options.metrics,
    };
    return redis_new(&options, &callbacks, bus);
}

static struct bus *new_bus(const struct bus_options *options, const struct bus_callbacks *callbacks,
                           void *arg)
{
    struct bus *bus = memory_new(sizeof *bus);
    bus->options = *options;
    bus->url = *options->url;
    bus->callbacks = *callbacks;
    bus->arg = arg;
    bus->started_ms = clock_monotonic_ms();
    uint8_t life[6];
    digest_random(life, sizeof life);
    digest_base64url(life, sizeof life, bus->life);
    return bus;
}

static void make_ways(struct bus *bus)
{
    const struct probe_options probe = {
        .commands = bus->commands,
        .subscriber = bus->subscriber,
        .channel = bus->probe_channel.text,
        .base = bus->probe_base.text,
        .keeps = bus->options.config->retention > 0,
        .metrics = bus->options.metrics,
    };
    bus->probe = probe_new(&probe);
    bus->keeps = redis_keeps_new(bus->commands, bus->options.metrics, bus->options.log);
}

static void make_calls(struct bus *bus)
{
    struct commands *calls = &bus->calls;
    script_settings_init(&calls->settings, bus->options.config);
    calls->config = bus->options.config;
    calls->metrics = bus->options.metrics;
    calls->log = bus->options.log;
    calls->redis = bus->commands;
    calls->redis_clock = &bus->redis_clock;
    calls->publish_batch = outbox_new(bus->commands, &calls->settings);
    calls->limiter = lane_new(bus->commands, MOST_MEMBERS);
    calls->list_limiter = lane_new(bus->commands, MOST_LISTS);
}

struct bus *bus_new(const struct bus_options *options, const struct bus_callbacks *callbacks,
                    void *arg, char *error, size_t error_size)
{
    struct redis_tls *tls = NULL;
    if (options->url->tls) {
        tls = redis_tls_new(options->url->host, error, error_size);
        if (tls == NULL)
            return NULL;
    }
    script_hash_all();
    struct bus *bus = new_bus(options, callbacks, arg);
    bus->tls = tls;
    bus->faults = redis_faults_new(options->metrics, options->log);
    bus->commands = new_redis(bus, false);
    bus->subscriber = new_redis(bus, true);
    bus_make_channels(bus);
    make_ways(bus);
    make_calls(bus);
    return bus;
}

void bus_stop(struct bus *bus)
{
    if (bus == NULL)
        return;
    outbox_stop(bus->calls.publish_batch);
    redis_stop(bus->commands);
    redis_stop(bus->subscriber);
    lane_stop(bus->calls.limiter); /* no answer will come to move those on who stand in line */
    lane_stop(bus->calls.list_limiter);
}

void bus_free(struct bus *bus)
{
    if (bus == NULL)
        return;
    outbox_free(bus->calls.publish_batch);
    lane_free(bus->calls.limiter);
    lane_free(bus->calls.list_limiter);
    redis_free(bus->commands);
    redis_free(bus->subscriber);
    pubsub_free(bus->pubsub);
    redis_faults_free(bus->faults);
    redis_tls_free(bus->tls);
    probe_free(bus->probe);
    redis_keeps_free(bus->keeps);
    free(bus);
}

const struct commands *bus_commands(const struct bus *bus)
{
    return &bus->calls;
}

struct pubsub *bus_pubsub(const struct bus *bus)
{
    return bus->pubsub;
}
