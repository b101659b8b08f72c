/* log: what the log has of a session. Lines about people who have not joined are limited: anybody
 * can cause them. */
#ifndef YUKIZURI_SESSION_LOG_H
#define YUKIZURI_SESSION_LOG_H

#include "session/internal.h"

/* Writes a line about the session; `message` may be NULL. */
void session_log(const struct session *session, const char *kind, const char *message);

/* The same with more labels; room, address, id and name are filled in. */
void session_log_more(const struct session *session, const struct log_line *line);

/* To be called in on_closed, while all is as it was: the line of a connection that ended. `refused`
 * is how much of what it sent was refused. Afterwards session_lost_word knows why it ended. */
void session_note_lost(struct session *session, const struct connection_end *end, uint64_t refused);

/* Why the connection was lost, for the line of its leaving: a static string. */
const char *session_lost_word(const struct session *session);

void session_log_init(struct sessions *all);

/* To be called once a second: tells how many lines were left out. */
void session_log_tick(struct sessions *all);

#endif
