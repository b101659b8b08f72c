/* topic_call: a call of a script about a room: the three keys and four arguments that prelude.lua
 * reads, and what the script itself wants. */
#ifndef YUKIZURI_BROKER_TOPIC_CALL_H
#define YUKIZURI_BROKER_TOPIC_CALL_H

#include "broker/script_settings.h"
#include "broker/topic.h"
#include "redis/script.h"

/* On the stack; all strings that are added must live until the call is sent. */
struct topic_call {
    struct script_call call;
    const struct script_settings *settings;
    struct key head, recent;
    char epoch[24]; /* begins, should the room have none */
};

void topic_call_begin(struct topic_call *call, const char *script, const struct topic *topic,
                      const struct script_settings *settings);
void topic_call_add_key(struct topic_call *call, const char *key);

/* Ends the keys: what is added from here on are arguments. */
void topic_call_end_keys(struct topic_call *call);
void topic_call_add(struct topic_call *call, const char *argument);

#endif
