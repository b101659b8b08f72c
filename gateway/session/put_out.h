/* put_out: somebody is put out by the operator: told why, out of the room at once, the connection
 * closed with 4503. */
#ifndef YUKIZURI_SESSION_PUT_OUT_H
#define YUKIZURI_SESSION_PUT_OUT_H

#include "session/internal.h"

/* `error` says why; its sentence goes into the close frame, too. Without a code no error is sent:
 * then that is all. A member, connected or in its grace, leaves, and its resume token ends; who is
 * about to join is refused. One whose join Redis has not answered yet is closed, and out after its
 * answer. The session may be freed. */
void session_put_out(struct session *session, const struct message_error *error);

#endif
