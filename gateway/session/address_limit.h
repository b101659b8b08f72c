/* address_limit: what the address of a session may do, over all its connections and after them
 * (config/address_rates), and who is told that it may not. What one connection may send is
 * session/rate_limit's. A trusted proxy that does not say for whom it speaks is not counted. */
#ifndef YUKIZURI_SESSION_ADDRESS_LIMIT_H
#define YUKIZURI_SESSION_ADDRESS_LIMIT_H

#include "config/address_rates.h"
#include "session/internal.h"

/* May its address do one more of this? If not, that is counted, and nothing is sent. 0: it may;
 * otherwise the seconds until it may, at least a tenth. */
double session_address_wait(struct session *session, enum address_rate kind);

/* The same; an error is sent, for the message with this nonce, or NULL. */
bool session_address_allows(struct session *session, enum address_rate kind, const char *nonce);

/* A message that made no sense has come. False: too many from its address, and it is closed. */
bool session_allows_bad(struct session *session);

/* For struct connection_callbacks: so many bytes have come. Closes who has sent too many. */
void session_on_bytes(void *owner, size_t len);

#endif
