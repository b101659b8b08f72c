#include "bus.h"

#include "clock.h"
#include "digest.h"
#include "feed.h"
#include "keys.h"
#include "lane.h"
#include "memory.h"
#include "outbox.h"
#include "probe.h"
#include "remote_clock.h"
#include "table.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    START_MS = 1000,
    PROBE_FRESH_MS = 10000,
    MOST_MEMBERS = 32, /* under way: two or three milliseconds of Redis' time, */
    MOST_LISTS = 4,    /* and as much, when each names 200 people */
};

struct bus {
    struct bus_options options;
    struct bus_callbacks callbacks;
    void *arg;
    struct redis *commands;
    struct redis *subscriber;
    struct outbox *outbox;
    struct lane *lane;
    struct lane *list_lane;
    struct event *turn_end;
    struct table *feeds;    /* by channel */
    struct key own_channel; /* see keys.h */
    struct key control;
    struct key probe_key; /* P:gateway:ID:probe */
    char life[9];
    struct bus_numbers numbers;
    struct probe *probe;
    struct remote_clock redis_clock; /* of the commands' connection */
    int64_t time_asked_ms;           /* 0: not under way */
    char lost[200];                  /* why Redis is not there */
    bool hears;                      /* subscribed to the own channel */
    bool lost_told;                  /* in the log */
    bool was_up;
    int64_t started_ms;
};

static struct table_key channel_of(const void *value)
{
    const char *channel = feed_channel(value);
    return (struct table_key){channel, strlen(channel)};
}

static bool both_ready(const struct bus *bus)
{
    return redis_is_ready(bus->commands) && redis_is_ready(bus->subscriber);
}

void bus_flush(struct bus *bus)
{
    outbox_flush(bus->outbox);
    lane_go(bus->lane);
    redis_flush(bus->commands);
}

static void on_turn_end(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    bus_flush(arg);
}

int bus_await_turn(struct bus *bus, void (*make)(void *arg), void *arg)
{
    event_active(bus->turn_end, EV_TIMEOUT, 0);
    return lane_stand(bus->lane, make, arg);
}

static void on_time(void *arg, const struct redis_reply *reply)
{
    struct bus *bus = arg;
    int64_t seconds = redis_reply_integer(redis_reply_at(reply, 0));
    int64_t us = redis_reply_integer(redis_reply_at(reply, 1));
    if (seconds > 0 && seconds < INT64_MAX / 2000)
        remote_clock_note(&bus->redis_clock, bus->time_asked_ms, clock_monotonic_ms(),
                          seconds * 1000 + us / 1000);
    bus->time_asked_ms = 0;
}

static void ask_time(struct bus *bus)
{
    if (bus->time_asked_ms == 0 &&
        redis_send_strings(bus->commands, on_time, bus, "TIME", NULL) == 0)
        bus->time_asked_ms = clock_monotonic_ms();
}

int64_t bus_redis_ms(const struct bus *bus, int64_t at_ms)
{
    return remote_clock_at(&bus->redis_clock, at_ms);
}

void bus_tick(struct bus *bus)
{
    static const char why[] = "a probe did not come back";
    size_t at = 0;
    struct feed *feed;
    while ((feed = table_next(bus->feeds, &at)) != NULL)
        feed_tick(feed);
    ask_time(bus);
    if (!both_ready(bus) || probe_tick(bus->probe))
        return;
    redis_reconnect(bus->subscriber, why);
    redis_reconnect(bus->commands, why);
}

const char *bus_why_not_ready(const struct bus *bus)
{
    if (!both_ready(bus))
        return bus->lost[0] == '\0' ? "Redis is not connected yet" : bus->lost;
    const char *refused = probe_refused(bus->probe);
    int64_t back_ms = probe_back_ms(bus->probe);
    if (refused != NULL)
        return refused;
    if (back_ms == 0 || clock_monotonic_ms() - back_ms > PROBE_FRESH_MS)
        return "no probe came back through Redis in the last 10 s";
    return NULL;
}

bool bus_flows(const struct bus *bus)
{
    return both_ready(bus) && probe_flows(bus->probe);
}

int64_t bus_proven_ms(const struct bus *bus)
{
    return probe_back_ms(bus->probe);
}

const char *bus_life(const struct bus *bus)
{
    return bus->life;
}

bool bus_is_up(const struct bus *bus)
{
    return redis_is_ready(bus->commands);
}

/* --- Connections --- */

static void note_state(struct bus *bus)
{
    bus->options.metrics->redis_up = both_ready(bus);
}

static void log_redis(struct bus *bus, const char *kind, const char *err)
{
    log_write(bus->options.log, &(struct log_line){
                                    .level = err == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                                    .kind = kind,
                                    .err = err,
                                });
}

static void on_either_ready(struct bus *bus)
{
    note_state(bus);
    if (!both_ready(bus))
        return;
    bus->lost[0] = '\0';
    bus->lost_told = false;
    bus->was_up = true;
    log_redis(bus, "redis-up", NULL);
    if (bus->hears)
        probe_send(bus->probe);
    bus->callbacks.on_up(bus->arg);
}

static void on_commands_ready(void *arg)
{
    struct bus *bus = arg;
    bus->redis_clock = (struct remote_clock){0}; /* it may be another Redis */
    ask_time(bus);
    script_load_all(bus->commands);
    size_t at = 0;
    struct feed *feed;
    while ((feed = table_next(bus->feeds, &at)) != NULL)
        feed_on_commands(feed);
    on_either_ready(bus);
}

static void on_subscriber_ready(void *arg)
{
    struct bus *bus = arg;
    redis_send_strings(bus->subscriber, NULL, NULL, "SUBSCRIBE", bus->own_channel.text,
                       bus->control.text, NULL);
    size_t at = 0;
    struct feed *feed;
    while ((feed = table_next(bus->feeds, &at)) != NULL)
        redis_send_strings(bus->subscriber, NULL, NULL, "SUBSCRIBE", feed_channel(feed), NULL);
    on_either_ready(bus);
}

/* One line for each outage, not one for each attempt; at the start Redis has a second to come up.
 */
static void on_lost(struct bus *bus, const char *why)
{
    bool starting = !bus->was_up && clock_monotonic_ms() - bus->started_ms < START_MS;
    if (!bus->lost_told && !starting) {
        log_redis(bus, "redis-lost", why);
        bus->lost_told = true;
    }
    snprintf(bus->lost, sizeof bus->lost, "Redis cannot be reached: %s", why);
    probe_forget(bus->probe);
    note_state(bus);
}

static void on_commands_lost(void *arg, const char *why)
{
    on_lost(arg, why);
}

static void on_subscriber_lost(void *arg, const char *why)
{
    struct bus *bus = arg;
    size_t at = 0;
    struct feed *feed;
    bus->hears = false;
    while ((feed = table_next(bus->feeds, &at)) != NULL)
        feed_on_unsubscribed(feed);
    on_lost(bus, why);
}

static bool is_channel(const struct key *key, const char *channel, size_t len)
{
    return strlen(key->text) == len && memcmp(key->text, channel, len) == 0;
}

static void on_published(struct bus *bus, const struct redis_reply *reply)
{
    size_t channel_len;
    size_t len;
    const char *channel = redis_reply_string(redis_reply_at(reply, 1), &channel_len);
    const char *data = redis_reply_string(redis_reply_at(reply, 2), &len);
    if (channel == NULL || data == NULL)
        return;
    struct feed *feed = table_find(bus->feeds, channel, channel_len);
    if (feed != NULL)
        feed_on_published(feed, data, len);
    else if (!is_channel(&bus->own_channel, channel, channel_len))
        return;
    else if (strncmp(data, PROBE_WORD, sizeof PROBE_WORD - 1) == 0)
        probe_came(bus->probe, data + sizeof PROBE_WORD - 1);
    else
        bus->callbacks.on_told(bus->arg, data, len);
}

static void on_subscribed(struct bus *bus, const struct redis_reply *reply)
{
    size_t len;
    const char *channel = redis_reply_string(redis_reply_at(reply, 1), &len);
    if (channel == NULL)
        return;
    struct feed *feed = table_find(bus->feeds, channel, len);
    if (feed != NULL)
        feed_on_subscribed(feed);
    if (!is_channel(&bus->own_channel, channel, len))
        return;
    bus->hears = true; /* a probe sent before would not have come back */
    if (both_ready(bus))
        probe_send(bus->probe);
}

/* "message", "subscribe", "unsubscribe", "pong", or an error. */
static void on_push(void *arg, const struct redis_reply *reply)
{
    struct bus *bus = arg;
    const char *kind = redis_reply_string(redis_reply_at(reply, 0), NULL);
    if (kind == NULL)
        return;
    if (strcmp(kind, "message") == 0)
        on_published(bus, reply);
    else if (strcmp(kind, "subscribe") == 0)
        on_subscribed(bus, reply);
}

static void on_push_end(void *arg)
{
    struct bus *bus = arg;
    bus->callbacks.on_heard(bus->arg);
}

static struct redis *new_redis(struct bus *bus, bool subscriber)
{
    const struct redis_callbacks callbacks = {
        .on_ready = subscriber ? on_subscriber_ready : on_commands_ready,
        .on_lost = subscriber ? on_subscriber_lost : on_commands_lost,
        .on_push = subscriber ? on_push : NULL,
        .on_push_end = subscriber ? on_push_end : NULL,
    };
    char name[96];
    snprintf(name, sizeof name, "yukizuri-%s", bus->options.config->gateway_id);
    struct redis_options options = {
        .base = bus->options.base,
        .url = bus->options.url,
        .client_name = name,
        .subscriber = subscriber,
        .metrics = bus->options.metrics,
    };
    return redis_new(&options, &callbacks, bus);
}

struct bus *bus_new(const struct bus_options *options, const struct bus_callbacks *callbacks,
                    void *arg)
{
    const struct config *config = options->config;
    struct bus *bus = memory_new(sizeof *bus);
    bus->options = *options;
    bus->callbacks = *callbacks;
    bus->arg = arg;
    bus->started_ms = clock_monotonic_ms();
    uint8_t life[6];
    digest_random(life, sizeof life);
    digest_base64url(life, sizeof life, bus->life);
    script_hash_all();
    bus_fill_numbers(&bus->numbers, config);
    bus->feeds = table_new(channel_of);
    bus->own_channel = key_gateway_channel(config, config->gateway_id);
    bus->control = key_control_channel(config);
    bus->probe_key = key_gateway_probe(config->redis_prefix, config->gateway_id);
    bus->commands = new_redis(bus, false);
    bus->subscriber = new_redis(bus, true);
    const struct probe_options probe = {bus->commands, bus->subscriber, bus->probe_key.text,
                                        bus->own_channel.text, options->metrics};
    bus->probe = probe_new(&probe);
    bus->outbox = outbox_new(options->base);
    bus->turn_end = event_new(options->base, -1, 0, on_turn_end, bus);
    bus->lane = lane_new(bus->commands, MOST_MEMBERS);
    bus->list_lane = lane_new(bus->commands, MOST_LISTS);
    return bus;
}

void bus_stop(struct bus *bus)
{
    if (bus == NULL)
        return;
    outbox_stop(bus->outbox);
    redis_stop(bus->commands);
    redis_stop(bus->subscriber);
    lane_go(bus->lane); /* ends those who stand in line: no answer will come to move it on */
}

void bus_free(struct bus *bus)
{
    if (bus == NULL)
        return;
    outbox_free(bus->outbox);
    event_free(bus->turn_end);
    lane_free(bus->lane);
    lane_free(bus->list_lane);
    redis_free(bus->commands);
    redis_free(bus->subscriber);
    probe_free(bus->probe);
    table_free(bus->feeds);
    free(bus);
}

void bus_add_feed(struct bus *bus, struct feed *feed)
{
    table_add(bus->feeds, feed);
    redis_send_strings(bus->subscriber, NULL, NULL, "SUBSCRIBE", feed_channel(feed), NULL);
}

void bus_remove_feed(struct bus *bus, struct feed *feed)
{
    table_remove(bus->feeds, feed);
    redis_send_strings(bus->subscriber, NULL, NULL, "UNSUBSCRIBE", feed_channel(feed), NULL);
}

const struct bus_numbers *bus_numbers(const struct bus *bus)
{
    return &bus->numbers;
}

const struct config *bus_config(const struct bus *bus)
{
    return bus->options.config;
}

struct metrics *bus_metrics(const struct bus *bus)
{
    return bus->options.metrics;
}

struct redis *bus_commands(const struct bus *bus)
{
    return bus->commands;
}

struct outbox *bus_outbox(const struct bus *bus)
{
    return bus->outbox;
}

struct lane *bus_lane(const struct bus *bus)
{
    return bus->lane;
}

struct lane *bus_list_lane(const struct bus *bus)
{
    return bus->list_lane;
}

struct log *bus_log(const struct bus *bus)
{
    return bus->options.log;
}
