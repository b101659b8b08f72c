/* site: the parts of the gateway that answers are made from, for router, ops and upgrade. Owns
 * nothing; all of it outlives each call. */
#ifndef YUKIZURI_HTTP_SITE_H
#define YUKIZURI_HTTP_SITE_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct address_rates;
struct broker;
struct client_addresses;
struct connections;
struct http_server;
struct log;
struct metrics;
struct pages;
struct quota;
struct refusals;
struct sessions;

struct http_site {
    const struct config *config;
    struct http_server *server;
    struct client_addresses *addresses;
    struct connections *connections;
    struct broker *broker;
    struct sessions *sessions;
    struct pages *pages;
    struct quota *quota;                 /* of WebSockets of an address; a session gives it back */
    struct address_rates *address_rates; /* NULL: addresses are not limited */
    struct metrics *metrics;
    struct refusals *refusals;
    struct log *log;
    uint64_t max_connections; /* the setting, bounded by the file limit */
    bool draining;            /* /readyz says 503, and everybody is still served */
};

#endif
