/* leave: leaving, so that Redis surely learns of it. */
#ifndef YUKIZURI_SESSION_LEAVE_H
#define YUKIZURI_SESSION_LEAVE_H

#include "session/internal.h"

/* Leaves the room; the session is a visitor again, or over. On purpose: its resume token ends. */
void session_leave(struct session *session, bool on_purpose);

/* Takes back a join whose outcome is not known, should it have happened; takes the identity of the
 * session over. Who came back with a token stays a member for the grace, as after a lost
 * connection. */
void session_retract(struct session *session);

/* --- Pending leaves: those that Redis has not answered yet --- */

/* To be called once a second, and when Redis is there again. */
void session_retry_pending_leaves(struct sessions *all);

/* Can an answer to some still come? */
bool session_has_pending_leaves(const struct sessions *all);
void session_free_pending_leaves(struct sessions *all);

#endif
