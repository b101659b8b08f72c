/* leave: leaving, so that Redis surely hears of it. */
#ifndef YUKIZURI_SESSION_LEAVE_H
#define YUKIZURI_SESSION_LEAVE_H

#include "session/internal.h"

/* Leaves the room; the session is a visitor again, or over. */
void session_leave(struct session *session, bool said);

/* Takes back a join whose outcome is not known, should it have happened. Who came back with a token
 * keeps its place for the grace, as after a lost connection. */
void session_retract(struct session *session);
void session_retry_pending_leaves(struct sessions *all);

/* Is an answer to some awaited that can still come? */
bool session_has_pending_leaves(const struct sessions *all);
void session_free_pending_leaves(struct sessions *all);

#endif
