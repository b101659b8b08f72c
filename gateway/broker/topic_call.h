/* topic_call: a call of a script about a room: the three keys and four arguments that prelude.lua
 * reads, and the room's keys that the script itself wants. */
#ifndef YUKIZURI_BROKER_TOPIC_CALL_H
#define YUKIZURI_BROKER_TOPIC_CALL_H

#include "broker/script_settings.h"
#include "broker/topic.h"
#include "redis/script.h"

/* script_begin, with what prelude.lua reads; among it the epoch that begins, should the room have
 * none. */
void topic_call_begin(struct script_call *call, const char *script, const struct topic *topic,
                      const struct script_settings *settings);

/* One more key: P:{R}:PART, or P:{R}:PART:ITEM when `item` is not NULL. */
void topic_call_add_key(struct script_call *call, const struct topic *topic, const char *part,
                        const char *item);

/* One more argument: what such keys begin with, P:{R}:PART: */
void topic_call_add_base(struct script_call *call, const struct topic *topic, const char *part);

#endif
