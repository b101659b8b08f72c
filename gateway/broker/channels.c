/* The half of broker/broker.h that listens: to this gateway's own channels, its probe's, and the
 * rooms'. */
#include "broker/internal.h"

#include "broker/topic.h"
#include "protocol/name.h"

#include <stdio.h>
#include <string.h>

static void on_own_published(void *arg, const char *data, size_t len)
{
    struct broker *broker = arg;
    broker->callbacks.on_control_message(broker->arg, data, len);
}

/* One that was sent before would not have come back. */
static void on_probe_subscribed(void *arg)
{
    struct broker *broker = arg;
    if (broker_is_whole(broker))
        health_send(broker->health);
}

static void tell_up(struct broker *broker)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 48];
    const char *version = redis_version(broker->commands);
    redis_url_format(broker->options.url, where);
    snprintf(message, sizeof message, "%s is there%s%s", where,
             version[0] == '\0' ? "" : ": Redis ", version);
    log_write(broker->options.log, &(struct log_line){.kind = "redis-up", .message = message});
    broker->told = BUS_UP;
}

static void on_probe_published(void *arg, const char *data, size_t len)
{
    struct broker *broker = arg;
    (void)len;
    if (strncmp(data, HEALTH_PROBE_WORD, sizeof HEALTH_PROBE_WORD - 1) != 0 ||
        !health_came(broker->health, data + sizeof HEALTH_PROBE_WORD - 1))
        return;
    redis_reset_backoff(broker->commands);
    redis_reset_backoff(broker->subscriber);
    persistence_tell(broker->persistence);
    if (broker->told != BUS_UP)
        tell_up(broker);
}

static const struct pubsub_handler own_handler = {.on_published = on_own_published};
static const struct pubsub_handler silent_handler = {.on_published = NULL};
static const struct pubsub_handler probe_handler = {.on_subscribed = on_probe_subscribed,
                                                    .on_published = on_probe_published};

void broker_make_channels(struct broker *broker)
{
    const struct config *config = broker->options.config;
    char room[NAME_BYTES + 80];
    /* On the shard of the room that most people come to; no name of a room has a brace. */
    snprintf(room, sizeof room, "%s}%s", config->room, config->gateway_id);
    broker->own_channel = key_gateway_channel(config, config->gateway_id);
    broker->incarnation_channel = key_item(broker->own_channel.text, "life", broker->incarnation);
    broker->probe_channel = key_channel(config, room);
    broker->probe_base = key_room(config->redis_prefix, room);
    broker->pubsub = pubsub_new(broker->subscriber, broker->options.log);
    pubsub_add(broker->pubsub, broker->own_channel.text, &own_handler, broker);
    pubsub_add(broker->pubsub, broker->incarnation_channel.text, &silent_handler, broker);
    pubsub_add(broker->pubsub, broker->probe_channel.text, &probe_handler, broker);
}
