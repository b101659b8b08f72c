/* script_settings: settings, and what follows from them, as the scripts get them; how long things
 * live in Redis. */
#ifndef YUKIZURI_BROKER_SCRIPT_SETTINGS_H
#define YUKIZURI_BROKER_SCRIPT_SETTINGS_H

#include "config/config.h"
#include "redis/client.h"

#include <stdint.h>

struct script_settings {
    char head_ttl[24], retention[24], most_kept[24];
    char member_ttl[24], most_members[24];
    char most_nonces[24], nonce_ttl[24];
    char page_bytes[24]; /* of kept events in one answer */
};
void script_settings_init(struct script_settings *settings, const struct config *config);

/* Seconds that a member's key lives without being refreshed. */
uint64_t script_settings_member_ttl(const struct config *config);

/* No answer of a Redis that does what it is asked is longer. */
struct redis_replies_most script_settings_most_reply(const struct config *config);

#endif
