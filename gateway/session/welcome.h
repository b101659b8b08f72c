/* welcome: whoever was let in is told so, once the feed has brought its join. */
#ifndef YUKIZURI_SESSION_WELCOME_H
#define YUKIZURI_SESSION_WELCOME_H

#include "session/internal.h"

/* It waits (ADMITTED). When the feed has brought its join it is welcomed: now, or together with
 * others a moment later. */
void session_welcome_if_arrived(struct session *session);

/* For rooms_callbacks: the same for all of the room who wait for what the feed has just brought.
 * `hurry`: those who are to be welcomed a moment later are welcomed now. */
void session_on_happened(void *entry, bool hurry);

/* For the timer sessions.welcomes. */
void session_on_welcomes(evutil_socket_t fd, short events, void *arg);

#endif
