/* client_address: whose request it is: the peer's own, or, behind a trusted proxy, of whom the
 * header names that client-address-header chooses. Logs a peer that names somebody and is not
 * trusted, and an address that is at its limit of connections.
 *
 * Owns nothing but whether it has warned. Calls back only to format an address for the log. */
#ifndef YUKIZURI_HTTP_CLIENT_ADDRESS_H
#define YUKIZURI_HTTP_CLIENT_ADDRESS_H

#include "config/config.h"
#include "protocol/http_request.h"
#include "telemetry/log.h"
#include "telemetry/refusals.h"

#include <stdbool.h>

struct client_addresses;

/* All of these must outlive it. */
struct client_addresses_options {
    const struct config *config; /* trusted-proxy, client-address-header */
    struct refusals *refusals;
    struct log *log;
    /* An address as the log may name it. */
    void (*format)(void *arg, const struct address *address, char out[ADDRESS_TEXT_BYTES]);
    void *arg;
};

struct client_addresses *client_addresses_new(const struct client_addresses_options *options);

/* NULL is fine. */
void client_addresses_free(struct client_addresses *all);

/* May this peer say whose request it passes on? */
bool client_address_is_trusted(const struct client_addresses *all, const struct address *peer);

struct client_address {
    struct address address;
    bool believable; /* false: forwarded by a peer that is not trusted, or that does not say whom */
};

/* The real client of this peer's request, seen through trusted proxies. `hidden`: the peer passes
 * on the bytes of somebody whom it does not name, and the headers are that one's. */
struct client_address client_address_find(struct client_addresses *all, const struct address *peer,
                                          bool hidden, const struct http_request *request);

/* One more connection of this address was refused: counts it, and names the address in the log,
 * for behind a proxy that is not trusted all have one. */
void client_address_note_refused(const struct client_addresses *all, const struct address *address);

#endif
