/* join: coming in, up to the question to Redis, and whoever waits too long. */
#ifndef YUKIZURI_SESSION_JOIN_H
#define YUKIZURI_SESSION_JOIN_H

#include "session/internal.h"

void session_join(struct session *session, const struct message_in *join);
void session_on_live(void *entry); /* for rooms_callbacks */
void session_join_tick(struct room_entry *entry);

#endif
