#include "broker/topic.h"

#include "base/digest.h"
#include "base/text.h"
#include "broker/script_settings.h"

#include <string.h>

/* Puts words together, up to a NULL; what does not fit is cut (see KEY_BYTES). No printf: some keys
 * are made for each message. */
static struct key join(const char *const *words)
{
    struct key key;
    size_t len = 0;
    for (; *words != NULL; words++) {
        size_t more = strlen(*words);
        if (more > sizeof key.text - 1 - len)
            more = sizeof key.text - 1 - len;
        memcpy(key.text + len, *words, more);
        len += more;
    }
    key.text[len] = '\0';
    return key;
}

struct key key_room(const char *prefix, const char *room)
{
    return join((const char *const[]){prefix, ":{", room, "}", NULL});
}

struct key key_part(const char *base, const char *part)
{
    return join((const char *const[]){base, ":", part, NULL});
}

struct key key_item(const char *room, const char *part, const char *item)
{
    return join((const char *const[]){room, ":", part, ":", item, NULL});
}

/* What the names of channels begin with. */
static struct key channel_prefix(const struct config *config)
{
    char number[TEXT_NUMBER_BYTES];
    if (config->redis_url.database == 0)
        return join((const char *const[]){config->redis_prefix, NULL});
    text_number((uint64_t)config->redis_url.database, number);
    return join((const char *const[]){config->redis_prefix, "@", number, NULL});
}

struct key key_channel(const struct config *config, const char *room)
{
    return key_room(channel_prefix(config).text, room);
}

struct key key_gateway_channel(const struct config *config, const char *id)
{
    return key_gateway(channel_prefix(config).text, id);
}

struct key key_control_channel(const struct config *config)
{
    return key_part(channel_prefix(config).text, "control");
}

struct topic topic_of(const struct commands *commands, const struct config *config,
                      const char *room)
{
    return (struct topic){.commands = commands,
                          .config = config,
                          .channel = key_channel(config, room),
                          .base = key_room(config->redis_prefix, room)};
}

/* Behind it stand the histories from which a room may have been moved here by its keys. */
static void add_new_epoch(const struct topic *topic, struct script_call *call)
{
    uint8_t random[9];
    char epoch[24];
    const char *histories = redis_histories(commands_redis(topic->commands));
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, epoch);
    if (histories[0] == '\0') {
        script_add(call, epoch);
        return;
    }
    struct text both = TEXT_EMPTY;
    text_print(&both, "%s%s", epoch, histories);
    redis_words_add(&call->words, both.data, both.len);
    text_done(&both);
}

void topic_begin_call(const struct topic *topic, struct script_call *call, const char *script)
{
    char bounds[2 * TEXT_NUMBER_BYTES + 2];
    size_t len = text_number(topic->config->retention_messages, bounds);
    bounds[len++] = ':';
    len += text_number(topic->config->retention_bytes, bounds + len);
    if (script_settings_sharded(topic->config))
        memcpy(bounds + len, ":s", sizeof ":s");
    script_begin(call, script);
    script_add_key(call, topic->channel.text, strlen(topic->channel.text));
    topic_add_key(topic, call, "head", NULL);
    topic_add_key(topic, call, "recent", NULL);
    add_new_epoch(topic, call);
    script_add_number(call, script_settings_head_ttl(topic->config));
    script_add_number(call, topic->config->retention);
    script_add(call, bounds);
}

void topic_add_key(const struct topic *topic, struct script_call *call, const char *part,
                   const char *item)
{
    struct key key =
        item == NULL ? key_part(topic->base.text, part) : key_item(topic->base.text, part, item);
    script_add_key(call, key.text, strlen(key.text));
}

void topic_add_base(const struct topic *topic, struct script_call *call, const char *part)
{
    script_add(call, key_item(topic->base.text, part, "").text);
}

/* A room's name has no braces; the probe's has one (broker.c). */
bool key_channel_room(const char *channel, struct key *out)
{
    const char *begin = strstr(channel, ":{");
    const char *end = begin == NULL ? NULL : strchr(begin, '}');
    if (end == NULL || end[1] != '\0' || end - begin - 2 >= KEY_BYTES)
        return false;
    size_t len = (size_t)(end - begin) - 2;
    memcpy(out->text, begin + 2, len);
    out->text[len] = '\0';
    return true;
}

struct key key_gateway(const char *prefix, const char *id)
{
    return key_item(prefix, "gateway", id);
}

struct key key_gateway_rooms(const char *prefix, const char *id)
{
    return join((const char *const[]){prefix, ":gateway:", id, ":rooms", NULL});
}

struct key key_gateway_gone(const char *prefix, const char *id)
{
    return join((const char *const[]){prefix, ":gateway:", id, ":gone", NULL});
}

struct key key_gateway_kept(const char *prefix, const char *id)
{
    return join((const char *const[]){prefix, ":gateway:", id, ":kept", NULL});
}

struct key key_reap_claim(const char *prefix, const char *id)
{
    return key_item(prefix, "bury", id);
}
