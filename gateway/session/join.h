/* join: coming in, up to the question to Redis, and whoever waits too long. */
#ifndef YUKIZURI_SESSION_JOIN_H
#define YUKIZURI_SESSION_JOIN_H

#include "session/internal.h"

/* A visitor wants to join: opens the room if need be, asks Redis, or refuses and says why. */
void session_join(struct session *session, const struct message_in *join);

/* For bans_options: asks for this session, should it have waited for that; puts out who is banned.
 */
void session_on_ban_known(struct session *session);

/* For moderation_new: asks for those who have waited for a room's rules. */
void session_on_rules_known(void *entry);

/* For rooms_callbacks: asks for those who have waited for the room. */
void session_on_live(void *entry);

/* To be called once a second: refuses who has waited too long. */
void session_join_tick(struct room_entry *entry);

#endif
