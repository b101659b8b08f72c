/* session: one of them, as the files of this folder use it: what is sent to it, what it is to
 * Redis, and how it ends. Knows none of the other files. */
#ifndef YUKIZURI_SESSION_SESSION_H
#define YUKIZURI_SESSION_SESSION_H

#include "session/internal.h"

/* Sends what is in the scratch text, and clears it; without a connection nothing is sent. */
void session_send(struct session *session);

/* The same for a text that nobody but this member may know, and nobody may guess from its length:
 * it is never compressed. */
void session_send_secret(struct session *session);
void session_error(struct session *session, const struct message_error *error);

/* Is it in: ADMITTED, JOINED or DETACHED? */
bool session_is_member(const struct session *session);

/* Ends a session as far as this gateway is concerned: no longer in the room here, told to nobody.
 */
void session_end(struct session *session);

/* Its join is over, one way or the other. */
void session_end_joining(struct session *session);

/* Frees it once nothing is under way any more; call after in_flight-- and after session_end. */
void session_free_if_over(struct session *session);

/* A member as commands take it; the strings are those of the identity. The address is left empty.
 */
struct commands_member session_commands_member(const struct sessions *all,
                                               const struct identity *identity);

/* The member of this id, when it is the session that commands_member.session names; or NULL. */
struct session *session_find(const struct sessions *all, const char *id, const char *name);

/* The member's address for the operator, as `log-address` says. */
void session_format_address(const struct session *session, char out[ADDRESS_TEXT_BYTES]);

/* A walk over all rooms, as rooms_next. */
struct room_entry *session_next_entry(const struct sessions *all, size_t *at);

/* The room of this name, when it is open here; or NULL. */
struct room_entry *session_find_entry(const struct sessions *all, const char *name);

/* Redis' clock, as commands_now_ms. */
int64_t session_redis_now_ms(const struct sessions *all);

#endif
