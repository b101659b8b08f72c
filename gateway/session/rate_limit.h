/* rate_limit: what each may send, and who sends more. */
#ifndef YUKIZURI_SESSION_RATE_LIMIT_H
#define YUKIZURI_SESSION_RATE_LIMIT_H

#include "session/internal.h"

/* Everything that comes from a peer takes a token. Is there one for something that is said or asked
 * for? If not, an error is sent, for its message with this nonce, or NULL. Who goes on in spite of
 * that is closed with 4429. Its address needs a token, too (session/address_limit). */
bool session_has_token(struct session *session, const char *nonce);

/* The same for a join. */
bool session_has_join_token(struct session *session);

/* The same for a sign of life (ping, pong, typing): it is dropped, and nothing is sent. */
bool session_has_sign_token(struct session *session);

/* For struct connection_callbacks. */
bool session_on_control(void *owner, bool ping, const uint8_t *data, size_t len);

/* How much of what its connection sent was refused or dropped. */
uint64_t session_refused(const struct session *session);

/* Its connection has ended: what it sent too much is logged. */
void session_end_flood(struct session *session);

/* To be called once a second: logs who sends too much. */
void session_flood_tick(struct sessions *all);
void session_free_floods(struct sessions *all);

#endif
