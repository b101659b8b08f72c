/* server_internal: what server.c (the life of the process) and server_parts.c (what it is made of)
 * share. Nobody else includes it. */
#ifndef YUKIZURI_SERVER_INTERNAL_H
#define YUKIZURI_SERVER_INTERNAL_H

#include "base/signals.h"
#include "broker/broker.h"
#include "cluster/membership.h"
#include "drain.h"
#include "http/client_address.h"
#include "http/listener.h"
#include "http/router.h"
#include "http/server.h"
#include "redis/embedded.h"
#include "room/batch_send.h"
#include "room/fanout.h"
#include "server.h"
#include "session/sessions.h"
#include "telemetry/stalls.h"
#include "websocket/poller.h"

struct event;

struct server {
    const struct config *config;
    struct log *log;
    struct event_base *base;
    struct poller *poller;
    struct batch_send *sender;
    struct fanout *fanout;
    struct embedded_redis *embedded;
    struct redis_url redis_url;
    struct metrics metrics;
    struct refusals *refusals;
    struct broker *broker;
    struct connections *connections;
    struct quota *quota;
    struct sessions *sessions;
    struct presence *presence;
    struct client_addresses *addresses;
    struct http_server *http;
    struct http_site site;
    struct listener *listener;
    struct stalls *stalls;
    struct event *tick;
    struct event *signals[SIGNALS_HANDLED];
    struct drain drain;
    const char *why; /* it ends, since ending_since_ms; NULL: not yet, or nobody said */
    int64_t ending_since_ms;
    bool leaving; /* the lease is being given back */
    int status;   /* of the process */
};

/* --- server.c --- */

/* Ends the process, because of `why` (static; NULL: of what was said before): once the lease is
 * given back, or Redis does not answer in time. Told again, at once. */
void server_finish(struct server *server, const char *why);

/* Sends everybody elsewhere first. `delayed`: see drain_begin. */
void server_begin_drain(struct server *server, bool delayed, const char *why);

/* --- server_parts.c --- */

/* Makes all parts, each with those below it. Returns 0; or -1 with a sentence in `error`, when the
 * parts that were made are there to be freed. */
int server_make_parts(struct server *server, char *error, size_t error_size);

#endif
