/* admit: what Redis said of a join: the session is a member, or is refused and told why. */
#ifndef YUKIZURI_SESSION_ADMIT_H
#define YUKIZURI_SESSION_ADMIT_H

#include "session/internal.h"

/* Ends its join, and tells why. */
void session_refuse_join(struct session *session, const struct message_error *error);
void session_refuse_unavailable(struct session *session);

/* It was ASKED for: what Redis said. */
void session_decide_join(struct session *session, enum commands_join_status status,
                         const struct commands_joined *joined);

#endif
