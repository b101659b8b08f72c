/* The half of broker/broker.h that listens: to this gateway's own channels, its probe's, and the
 * rooms'. */
#include "broker/internal.h"

#include "broker/topic.h"
#include "protocol/name.h"

#include <stdio.h>
#include <string.h>

static void on_own_published(void *arg, const char *data, size_t len)
{
    struct bus *bus = arg;
    bus->callbacks.on_told(bus->arg, data, len);
}

/* One that was sent before would not have come back. */
static void on_probe_subscribed(void *arg)
{
    struct bus *bus = arg;
    if (bus_is_whole(bus))
        probe_send(bus->probe);
}

static void tell_up(struct bus *bus)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 48];
    const char *version = redis_version(bus->commands);
    redis_url_format(bus->options.url, where);
    snprintf(message, sizeof message, "%s is there%s%s", where,
             version[0] == '\0' ? "" : ": Redis ", version);
    log_write(bus->options.log, &(struct log_line){.kind = "redis-up", .message = message});
    bus->told = BUS_UP;
}

static void on_probe_published(void *arg, const char *data, size_t len)
{
    struct bus *bus = arg;
    (void)len;
    if (strncmp(data, PROBE_WORD, sizeof PROBE_WORD - 1) != 0 ||
        !probe_came(bus->probe, data + sizeof PROBE_WORD - 1))
        return;
    redis_prove(bus->commands);
    redis_prove(bus->subscriber);
    redis_keeps_prove(bus->keeps);
    if (bus->told != BUS_UP)
        tell_up(bus);
}

static const struct pubsub_handler own_handler = {.on_published = on_own_published};
static const struct pubsub_handler silent_handler = {.on_published = NULL};
static const struct pubsub_handler probe_handler = {.on_subscribed = on_probe_subscribed,
                                                    .on_published = on_probe_published};

void bus_make_channels(struct bus *bus)
{
    const struct config *config = bus->options.config;
    char room[NAME_BYTES + 80];
    /* On the shard of the room that most people come to; no name of a room has a brace. */
    snprintf(room, sizeof room, "%s}%s", config->room, config->gateway_id);
    bus->own_channel = key_gateway_channel(config, config->gateway_id);
    bus->life_channel = key_item(bus->own_channel.text, "life", bus->life);
    bus->probe_channel = key_channel(config, room);
    bus->probe_base = key_room(config->redis_prefix, room);
    bus->pubsub = pubsub_new(bus->subscriber, bus->options.log);
    pubsub_add(bus->pubsub, bus->own_channel.text, &own_handler, bus);
    pubsub_add(bus->pubsub, bus->life_channel.text, &silent_handler, bus);
    pubsub_add(bus->pubsub, bus->probe_channel.text, &probe_handler, bus);
}
