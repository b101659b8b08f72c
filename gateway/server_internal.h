/* server_internal: the struct that the files of the process share: server.c, server_parts.c,
 * loop.c, drain.c, process_log.c. */
#ifndef YUKIZURI_SERVER_INTERNAL_H
#define YUKIZURI_SERVER_INTERNAL_H

#include "base/signals.h"
#include "broker/broker.h"
#include "cluster/membership.h"
#include "drain.h"
#include "http/client_address.h"
#include "http/listener.h"
#include "http/pages.h"
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
    struct service *service;
    struct event_base *base;
    struct poller *poller;      /* of the members' sockets */
    struct poller *http_poller; /* of the others: who floods these does not delay members */
    struct batch_send *sender;
    struct fanout *fanout;
    struct embedded_redis *embedded;
    struct redis_url redis_url;
    struct metrics metrics;
    struct refusals *refusals;
    struct broker *broker;
    struct connections *connections;
    struct quota *quota;
    struct address_rates *address_rates;
    struct sessions *sessions;
    struct membership *membership;
    struct client_addresses *addresses;
    struct http_server *http;
    struct pages *pages;
    struct http_site site;
    struct listener *listener;
    struct stalls *stalls;
    struct event *tick;
    struct event *signals[SIGNALS_HANDLED];
    struct drain drain;
    const char *end_reason;  /* NULL: it does not end, or nobody said why */
    int64_t ending_since_ms; /* for that reason */
    bool releasing_lease;
    int status; /* of the process */
};

#endif
