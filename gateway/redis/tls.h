/* redis_tls: TLS to Redis. Part of `redis`; the only user of OpenSSL's ssl. A connection that was
 * to be encrypted is encrypted, and its peer verified, or there is none. */
#ifndef YUKIZURI_REDIS_TLS_H
#define YUKIZURI_REDIS_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct event_base;
struct redis_tls;

/* TLS 1.2 at least, trust as the system or SSL_CERT_FILE says; `host` is one of the peers. NULL,
 * and a sentence in `error`, when any of that cannot be had. */
struct redis_tls *redis_tls_new(const char *host, char *error, size_t error_size);

/* All streams must have been freed. NULL is fine. */
void redis_tls_free(struct redis_tls *tls);

/* A stream that is to be connected to a peer whose certificate names `host`, a name or an IP
 * address; it is the caller's. NULL when OpenSSL cannot make one. */
struct bufferevent *redis_tls_stream(const struct redis_tls *tls, const char *host,
                                     struct event_base *base);

/* What OpenSSL says went wrong with a stream, and what to do about it; false when that is nothing.
 */
bool redis_tls_describe(struct bufferevent *stream, char *out, size_t size);

#endif
