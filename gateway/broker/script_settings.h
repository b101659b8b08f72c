/* script_settings: what follows from the settings for scripts: how long things live in Redis, and
 * how much of them. Times are in seconds. */
#ifndef YUKIZURI_BROKER_SCRIPT_SETTINGS_H
#define YUKIZURI_BROKER_SCRIPT_SETTINGS_H

#include "config/config.h"
#include "redis/resp_decode.h"

#include <stdbool.h>
#include <stdint.h>

/* A member's key, without being refreshed. */
uint64_t script_settings_member_ttl(const struct config *config);

/* After an outage of this length keys of members may have run out. In ms. */
int64_t script_settings_long_outage_ms(const struct config *config);

/* A room's head. It is refreshed with the members, and outlives the events that are kept after the
 * last of them left. */
uint64_t script_settings_head_ttl(const struct config *config);

/* The nonces of one member, and how many: as many as a member can use within `retention`. */
uint64_t script_settings_nonce_ttl(const struct config *config);
uint64_t script_settings_most_nonces(const struct config *config);

/* Bytes of kept events in one answer: two messages of other gateways, which may take larger ones,
 * fit in. */
uint64_t script_settings_page_bytes(const struct config *config);

/* Are the channels of rooms sharded? Only a cluster's may be. */
bool script_settings_sharded(const struct config *config);

/* The same as a word for other gateways, "classic" or "sharded"; NULL without a cluster. */
const char *script_settings_pubsub(const struct config *config);

/* No answer of a Redis that does what it is asked is longer. */
struct redis_reply_limits script_settings_reply_limits(const struct config *config);

#endif
