/* say: saying something: its length, the way to Redis, and the answer. */
#ifndef YUKIZURI_SESSION_SAY_H
#define YUKIZURI_SESSION_SAY_H

#include "session/internal.h"

/* A member says something: it is sent to Redis, whose answer becomes an ack or an error; or it is
 * refused at once. */
void session_say(struct session *session, const struct message_in *message);

#endif
