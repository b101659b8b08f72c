#include "broker/topic_call.h"

#include "base/digest.h"

#include <string.h>

static void new_epoch(char out[24])
{
    uint8_t random[9];
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, out);
}

void topic_call_add_key(struct topic_call *call, const char *key)
{
    script_add_key(&call->call, key, strlen(key));
}

void topic_call_begin(struct topic_call *call, const char *script, const struct topic *topic,
                      const struct script_settings *settings)
{
    script_begin(&call->call, script);
    call->settings = settings;
    call->head = key_part(topic->base.text, "head");
    call->recent = key_part(topic->base.text, "recent");
    new_epoch(call->epoch);
    topic_call_add_key(call, topic->channel.text);
    topic_call_add_key(call, call->head.text);
    topic_call_add_key(call, call->recent.text);
}

void topic_call_end_keys(struct topic_call *call)
{
    topic_call_add(call, call->epoch);
    topic_call_add(call, call->settings->head_ttl);
    topic_call_add(call, call->settings->retention);
    topic_call_add(call, call->settings->most_kept);
}

void topic_call_add(struct topic_call *call, const char *argument)
{
    redis_words_add_string(&call->call.words, argument);
}
