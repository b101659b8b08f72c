/* close_log: the log's word of a connection that ended. */
#ifndef YUKIZURI_SESSION_CLOSE_LOG_H
#define YUKIZURI_SESSION_CLOSE_LOG_H

#include "session/internal.h"

/* To be called in on_closed, while all is as it was; afterwards session_lost_word knows why. */
void session_note_lost(struct session *session, const struct connection_end *end);

/* Why the connection was lost, for the line of its leaving: a static string. */
const char *session_lost_word(const struct session *session);

#endif
