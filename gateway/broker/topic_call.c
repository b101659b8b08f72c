#include "broker/topic_call.h"

#include "base/digest.h"

#include <string.h>

static void add_new_epoch(struct script_call *call)
{
    uint8_t random[9];
    char epoch[24];
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, epoch);
    script_add(call, epoch);
}

void topic_call_begin(struct script_call *call, const char *script, const struct topic *topic,
                      const struct script_settings *settings)
{
    script_begin(call, script);
    script_add_key(call, topic->channel.text, strlen(topic->channel.text));
    topic_call_add_key(call, topic, "head", NULL);
    topic_call_add_key(call, topic, "recent", NULL);
    add_new_epoch(call);
    script_add(call, settings->head_ttl);
    script_add(call, settings->retention);
    script_add(call, settings->most_kept);
}

void topic_call_add_key(struct script_call *call, const struct topic *topic, const char *part,
                        const char *item)
{
    struct key key =
        item == NULL ? key_part(topic->base.text, part) : key_item(topic->base.text, part, item);
    script_add_key(call, key.text, strlen(key.text));
}

void topic_call_add_base(struct script_call *call, const struct topic *topic, const char *part)
{
    script_add(call, key_item(topic->base.text, part, "").text);
}
