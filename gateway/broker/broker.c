#include "broker/broker.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "broker/health.h"
#include "broker/outage_log.h"
#include "broker/password.h"
#include "broker/redis_time.h"
#include "broker/sentinels.h"
#include "broker/trouble_log.h"
#include "protocol/name.h"
#include "redis/cluster.h"
#include "redis/error_log.h"
#include "redis/persistence.h"
#include "redis/tls.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    START_MS = 1000,
    PROBE_FRESH_MS = 10000,
    MEMBER_PERMITS = 32, /* two or three milliseconds of Redis' time, */
    LIST_PERMITS = 4,    /* and as much, when each call names 200 people */
};

struct broker {
    struct broker_options options;
    struct broker_callbacks callbacks;
    void *arg;
    struct redis_url url; /* with the password as it was last read; with Sentinels, the master */
    struct redis *redis;  /* for commands */
    struct redis *subscriber;      /* for channels */
    struct cluster *cluster;       /* of all; NULL: one server */
    struct durability *durability; /* NULL: nobody waits for replicas */
    unsigned address_index;        /* of all, among the addresses of Redis' name */
    struct redis_tls *tls;         /* of all; NULL: none is wanted */
    struct password password;      /* of all */
    struct sentinels *sentinels;   /* NULL: none are named */
    struct error_log *errors;
    struct pubsub *pubsub;
    struct commands commands;
    struct key own_channel;               /* P:gateway:ID */
    struct key incarnation_channel;       /* whoever is subscribed to it lives, see lease.lua, */
    struct key lease_key;                 /* which sees who is subscribed where this key is */
    struct key probe_channel, probe_base; /* of a room that nobody can be in */
    char incarnation[9];
    char client_name[96];
    struct health *health;
    struct persistence *persistence;
    struct redis_time redis_time;
    char why_lost[300];         /* why Redis is not there */
    char why_unsubscribed[400]; /* why a channel of ours is refused; "" */
    enum { NEW, UP, LOST } logged_state;
    struct trouble_log refusal; /* Redis refuses what people need */
    int64_t started_ms;
};

static bool is_connected(const struct broker *broker)
{
    return redis_is_ready(broker->redis) && redis_is_ready(broker->subscriber);
}

void broker_flush(struct broker *broker)
{
    publish_batch_flush(broker->commands.publish_batch);
    limiter_flush(broker->commands.limiter);
    durability_flush(broker->durability);
    redis_flush(broker->redis);
    redis_flush(broker->subscriber);
}

/* The name is resolved again. */
static void reconnect(struct broker *broker, const char *why)
{
    durability_reconnect(broker->durability, why);
    redis_reconnect(broker->subscriber, why);
    redis_reconnect(broker->redis, why);
}

/* Rooms' channels are not asked after: the probe's has their form. */
static void note_refused_channels(struct broker *broker)
{
    const char *const channels[] = {broker->probe_channel.text, broker->own_channel.text};
    broker->why_unsubscribed[0] = '\0';
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const char *why = pubsub_refused(broker->pubsub, channels[i]);
        if (why != NULL)
            snprintf(broker->why_unsubscribed, sizeof broker->why_unsubscribed,
                     "Redis does not let us listen on %.160s: %s", channels[i], why);
    }
}

static void tick_health(struct broker *broker)
{
    if (!is_connected(broker))
        return;
    if (pubsub_refused(broker->pubsub, broker->probe_channel.text) != NULL)
        health_reset(broker->health); /* it could not come back */
    else if (!health_tick(broker->health))
        reconnect(broker, "a probe did not come back");
}

const char *broker_why_refused(const struct broker *broker)
{
    if (!is_connected(broker))
        return NULL;
    return broker->why_unsubscribed[0] != '\0' ? broker->why_unsubscribed
                                               : health_why_refused(broker->health);
}

static void log_refusal(struct broker *broker)
{
    const char *why = broker_why_refused(broker);
    if (why != NULL)
        trouble_log_note(&broker->refusal, why);
    else if (broker_is_healthy(broker))
        trouble_log_note_over(&broker->refusal);
}

void broker_tick(struct broker *broker)
{
    redis_time_ask(&broker->redis_time);
    note_refused_channels(broker);
    pubsub_tick(broker->pubsub);
    durability_tick(broker->durability);
    error_log_tick(broker->errors, clock_monotonic_ms());
    tick_health(broker);
    log_refusal(broker);
}

const char *broker_why_not_ready(const struct broker *broker)
{
    if (!is_connected(broker))
        return broker->why_lost[0] == '\0' ? sentinels_why_lost(broker->sentinels)
                                           : broker->why_lost;
    const char *refused = broker_why_refused(broker);
    int64_t last_ok_ms = health_last_ok_ms(broker->health);
    if (refused != NULL)
        return refused;
    if (last_ok_ms == 0 || clock_monotonic_ms() - last_ok_ms > PROBE_FRESH_MS)
        return "no probe came back through Redis in the last 10 s";
    return durability_why_not_ready(broker->durability);
}

bool broker_is_healthy(const struct broker *broker)
{
    return is_connected(broker) && redis_is_whole(broker->redis) && health_is_ok(broker->health);
}

int64_t broker_last_ok_ms(const struct broker *broker)
{
    return health_last_ok_ms(broker->health);
}

const char *broker_incarnation(const struct broker *broker)
{
    return broker->incarnation;
}

void broker_reread_password(struct broker *broker)
{
    broker->password.failure_logged = false;
    password_reread(&broker->password);
    sentinels_reread_password(broker->sentinels);
}

bool broker_is_up(const struct broker *broker)
{
    return redis_is_ready(broker->redis);
}

/* --- Connections --- */

static void on_either_ready(struct broker *broker)
{
    broker->options.metrics->redis_up = is_connected(broker);
    if (!is_connected(broker))
        return;
    broker->why_lost[0] = '\0';
    sentinels_on_ready(broker->sentinels);
    health_send_probe(broker->health);
    broker->callbacks.on_up(broker->arg);
}

/* After a switchover one connection may reach the new master while the other one stays with the
 * old: what comes over the channel would be taken for the history that the scripts tell of. */
static bool drop_if_split(struct broker *broker)
{
    const char *commands = redis_server(broker->redis)->run_id;
    const char *subscriber = redis_server(broker->subscriber)->run_id;
    if (!is_connected(broker) || commands[0] == '\0' || subscriber[0] == '\0' ||
        strcmp(commands, subscriber) == 0)
        return false;
    reconnect(broker, "its two connections have reached two different ones");
    return true;
}

static void on_commands_ready(void *arg)
{
    struct broker *broker = arg;
    if (drop_if_split(broker))
        return;
    redis_time_ask_anew(&broker->redis_time);
    persistence_ask(broker->persistence);
    on_either_ready(broker);
}

static void on_subscriber_ready(void *arg)
{
    struct broker *broker = arg;
    if (drop_if_split(broker))
        return;
    pubsub_follow(broker->pubsub);
    on_either_ready(broker);
}

/* A line for each outage, not for each attempt; at the start Redis has a second to come up. */
static void on_lost(void *arg, const char *why)
{
    struct broker *broker = arg;
    bool starting =
        broker->logged_state == NEW && clock_monotonic_ms() - broker->started_ms < START_MS;
    bool is_news = sentinels_on_lost(broker->sentinels, why);
    if (broker->logged_state != LOST && !starting && is_news) {
        outage_log_lost(broker->options.log, &broker->url, health_last_ok_ms(broker->health) != 0,
                        why);
        broker->logged_state = LOST;
    }
    broker->why_unsubscribed[0] = '\0';
    snprintf(broker->why_lost, sizeof broker->why_lost, "Redis cannot be reached: %s", why);
    health_reset(broker->health);
    broker->options.metrics->redis_up = is_connected(broker);
}

static void on_subscriber_lost(void *arg, const char *why)
{
    struct broker *broker = arg;
    pubsub_follow(broker->pubsub);
    on_lost(broker, why);
}

/* Here is decided what every error reply means, whoever asked: the callers know what it means for
 * them. What is refused on the way of members, the probe finds refused as well. */
static void on_error(void *arg, const struct redis_error *error)
{
    struct broker *broker = arg;
    error_log_note(broker->errors, error);
    if (strcmp(error->word, "WRONGPASS") == 0)
        password_reread(&broker->password); /* it may be another one by now */
    if (error->verdict == REDIS_RECONNECT)
        reconnect(broker, error->text);
    else if (error->verdict == REDIS_PROBE)
        health_probe_soon(broker->health);
}

static void on_push(void *arg, const struct redis_reply *message)
{
    pubsub_on_push(((struct broker *)arg)->pubsub, message);
}

static struct redis_options connection_options(struct broker *broker)
{
    return (struct redis_options){
        .base = broker->options.base,
        .url = &broker->url,
        .role = broker->options.url->scheme == REDIS_SENTINEL ? REDIS_ROLE_MASTER : REDIS_ROLE_ANY,
        .tls = broker->tls,
        .cluster = broker->cluster,
        .address_index = &broker->address_index,
        .client_name = broker->client_name,
        .limits = script_settings_reply_limits(broker->options.config),
        .metrics = broker->options.metrics,
    };
}

static void on_places(void *arg)
{
    pubsub_follow(((struct broker *)arg)->pubsub);
}

static struct cluster *new_cluster(const struct broker *broker)
{
    const struct config *config = broker->options.config;
    if (broker->url.scheme != REDIS_CLUSTER)
        return NULL;
    return cluster_new(&(struct cluster_options){
        .base = broker->options.base,
        .url = &broker->url,
        .client_name = broker->client_name,
        .home_key = key_room(config->redis_prefix, config->room).text,
        .patience_ms = script_settings_long_outage_ms(config),
        .metrics = broker->options.metrics,
        .log = broker->options.log,
    });
}

static struct redis *new_connection(struct broker *broker, bool subscriber)
{
    const struct redis_callbacks callbacks = {
        .on_ready = subscriber ? on_subscriber_ready : on_commands_ready,
        .on_lost = subscriber ? on_subscriber_lost : on_lost,
        .on_error = on_error,
        .on_push = subscriber ? on_push : NULL,
        .on_places = on_places,
    };
    struct redis_options options = connection_options(broker);
    options.subscriber = subscriber;
    options.prepare = subscriber ? NULL : script_load_all;
    return redis_new(&options, &callbacks, broker);
}

static struct durability *new_durability(struct broker *broker)
{
    const struct config *config = broker->options.config;
    const struct key key = key_gateway_kept(config->redis_prefix, config->gateway_id);
    const struct durability_options options = {.commands = broker->redis,
                                               .server = connection_options(broker),
                                               .key = key.text,
                                               .on_error = on_error,
                                               .arg = broker,
                                               .log = broker->options.log};
    return config->durability == CONFIG_DURABILITY_PRIMARY ? NULL : durability_new(&options);
}

/* --- Channels --- */

static void on_control_published(void *arg, const char *data, size_t len)
{
    struct broker *broker = arg;
    broker->callbacks.on_control_message(broker->arg, data, len);
}

/* One that was sent before would not have come back. */
static void on_probe_subscribed(void *arg)
{
    struct broker *broker = arg;
    if (is_connected(broker))
        health_send_probe(broker->health);
}

static void on_probe_published(void *arg, const char *data, size_t len)
{
    struct broker *broker = arg;
    (void)len;
    if (!health_take_probe(broker->health, data))
        return;
    redis_reset_backoff(broker->redis);
    redis_reset_backoff(broker->subscriber);
    persistence_note_use(broker->persistence);
    if (broker->logged_state != UP)
        outage_log_up(broker->options.log, &broker->url, redis_server(broker->redis)->version);
    broker->logged_state = UP;
}

static void listen_on_channels(struct broker *broker)
{
    static const struct pubsub_handler control = {.on_published = on_control_published};
    static const struct pubsub_handler incarnation = {.on_published = NULL};
    static const struct pubsub_handler probe = {
        .on_subscribed = on_probe_subscribed, .on_published = on_probe_published, .of_room = true};
    const struct config *config = broker->options.config;
    char room[NAME_BYTES + 80];
    uint8_t random[6];
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, broker->incarnation);
    /* On the shard of the room that most people come to; no name of a room has a brace. */
    snprintf(room, sizeof room, "%s}%s", config->room, config->gateway_id);
    broker->own_channel = key_gateway_channel(config, config->gateway_id);
    broker->incarnation_channel = key_item(broker->own_channel.text, "life", broker->incarnation);
    broker->probe_channel = key_channel(config, room);
    broker->probe_base = key_room(config->redis_prefix, room);
    pubsub_add(broker->pubsub, broker->own_channel.text, &control, broker);
    broker->lease_key = key_gateway(config->redis_prefix, config->gateway_id);
    pubsub_add_beside(broker->pubsub, broker->incarnation_channel.text, broker->lease_key.text,
                      &incarnation, broker);
    pubsub_add(broker->pubsub, broker->probe_channel.text, &probe, broker);
}

/* --- The whole --- */

static struct health *new_health(const struct broker *broker)
{
    return health_new(&(struct health_options){
        .commands = broker->redis,
        .subscriber = broker->subscriber,
        .channel = broker->probe_channel.text,
        .base = broker->probe_base.text,
        .keeps = broker->options.config->retention > 0,
        .sharded = script_settings_sharded(broker->options.config),
        .metrics = broker->options.metrics,
    });
}

static void make_commands(struct broker *broker)
{
    broker->commands = (struct commands){
        .config = broker->options.config,
        .metrics = broker->options.metrics,
        .log = broker->options.log,
        .redis = broker->redis,
        .redis_clock = &broker->redis_time.clock,
        .publish_batch =
            publish_batch_new(broker->redis, broker->durability, broker->options.config),
        .limiter = limiter_new(broker->redis, MEMBER_PERMITS),
        .list_limiter = limiter_new(broker->redis, LIST_PERMITS),
    };
}

struct broker *broker_new(const struct broker_options *options,
                          const struct broker_callbacks *callbacks, void *arg, char *error,
                          size_t error_size)
{
    struct redis_tls *tls = NULL;
    if (options->url->tls && options->url->scheme != REDIS_CLUSTER) { /* there, for each node */
        tls = redis_tls_new(redis_url_first_host(options->url), error, error_size);
        if (tls == NULL)
            return NULL;
    }
    script_hash_all();
    struct broker *broker = memory_new(sizeof *broker);
    broker->options = *options;
    broker->url = *options->url;
    broker->callbacks = *callbacks;
    broker->arg = arg;
    broker->started_ms = clock_monotonic_ms();
    broker->tls = tls;
    broker->password = (struct password){options->config->redis_password_file, &broker->url,
                                         options->log, "redis-password-file", false};
    broker->errors = error_log_new(options->metrics, options->log);
    broker->refusal = (struct trouble_log){
        .log = options->log,
        .begins = {.level = LOG_LEVEL_WARN,
                   .kind = "redis-refuses",
                   .message = "nobody can come in or talk until this is mended"},
        .ends = {.kind = "redis-accepts", .message = "people can talk again"},
    };
    snprintf(broker->client_name, sizeof broker->client_name, "yukizuri-%s",
             options->config->gateway_id);
    broker->cluster = new_cluster(broker);
    broker->redis = new_connection(broker, false);
    broker->subscriber = new_connection(broker, true);
    broker->durability = new_durability(broker);
    broker->redis_time.redis = broker->redis;
    broker->pubsub =
        pubsub_new(broker->subscriber, script_settings_sharded(options->config), options->log);
    listen_on_channels(broker);
    broker->health = new_health(broker);
    broker->persistence = persistence_new(broker->redis, options->metrics, options->log);
    make_commands(broker);
    broker->sentinels = sentinels_new(&(struct sentinels_options){
        options->base, options->config, &broker->url, tls, broker->redis, broker->subscriber,
        broker->durability, options->metrics, options->log});
    return broker;
}

void broker_stop(struct broker *broker)
{
    if (broker == NULL)
        return;
    publish_batch_stop(broker->commands.publish_batch);
    redis_stop(broker->redis);
    redis_stop(broker->subscriber);
    durability_stop(broker->durability);
    limiter_stop(broker->commands.limiter); /* no answer will come to send what waits there */
    limiter_stop(broker->commands.list_limiter);
}

void broker_free(struct broker *broker)
{
    if (broker == NULL)
        return;
    publish_batch_free(broker->commands.publish_batch);
    limiter_free(broker->commands.limiter);
    limiter_free(broker->commands.list_limiter);
    durability_free(broker->durability);
    sentinels_free(broker->sentinels);
    redis_free(broker->redis);
    redis_free(broker->subscriber);
    pubsub_free(broker->pubsub);
    cluster_free(broker->cluster);
    error_log_free(broker->errors);
    redis_tls_free(broker->tls);
    health_free(broker->health);
    persistence_free(broker->persistence);
    free(broker);
}

const struct commands *broker_commands(const struct broker *broker)
{
    return &broker->commands;
}

struct pubsub *broker_pubsub(const struct broker *broker)
{
    return broker->pubsub;
}
