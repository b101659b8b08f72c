/* sessions: what a member's message means. The only part that knows the product: joining, saying,
 * leaving, limits, coming back. One session for each connection, and for some seconds longer: a
 * member whose connection is lost stays in the room as a detached session for `leave-grace`.
 *
 * A session uses a connection, a room and the broker; none of them knows it. */
#ifndef YUKIZURI_SESSION_SESSIONS_H
#define YUKIZURI_SESSION_SESSIONS_H

#include "config/config.h"
#include "config/quota.h"
#include "room/registry.h"
#include "telemetry/log.h"
#include "telemetry/refusals.h"
#include "websocket/connection.h"

#include <stdbool.h>

struct address_rates;
struct subscribers_queue;
struct sessions;

struct sessions_options {
    struct event_base *base;
    const struct config *config;
    struct subscribers_queue *queue;
    struct broker *broker;
    struct connections *connections;
    struct quota *quota;                 /* given back one for each session that ends */
    struct address_rates *address_rates; /* NULL: addresses are not limited */
    struct metrics *metrics;
    struct refusals *refusals;
    struct log *log;
    /* People may join from here on (sessions_why_closed is NULL); it may be said again. */
    void (*on_admitting)(void *arg);
    /* A room was opened here, or closed. */
    void (*on_room_opened)(void *arg, const char *name, bool open);
    void *arg;
};

struct sessions *sessions_new(const struct sessions_options *options);

/* Frees all sessions; the connections must be gone or never report again. */
void sessions_free(struct sessions *all);

struct rooms *sessions_rooms(struct sessions *all);

/* An address as the log may name it. */
void sessions_format_address(const struct sessions *all, const struct address *address,
                             char out[ADDRESS_TEXT_BYTES]);

/* A visitor has connected and wants to talk in this room. */
struct session_visitor {
    int fd;
    struct address address;
    const char *room; /* a valid name */
    bool trusted;     /* the address is that of a trusted proxy, which has many clients */
};

/* Takes the socket over; the connection is returned so that the caller can queue the handshake's
 * answer and feed early bytes. */
struct connection *session_open(struct sessions *all, const struct session_visitor *visitor);

/* The gateway-id is ours: people may join, once all else is known that a join needs. */
void sessions_admit(struct sessions *all);

/* Does another process have members under our gateway-id, too? Then they are left alone. */
void sessions_set_id_shared(struct sessions *all, bool id_shared);

/* Is this address banned, as far as is known from other connections of it? */
bool sessions_are_banned(const struct sessions *all, const struct address *address);

/* NULL, or why nobody may join yet: a sentence. */
const char *sessions_why_closed(const struct sessions *all);

/* Redis is there (again): members are checked against it. */
void sessions_on_up(struct sessions *all);

/* The lease lapsed: all members are to be reinstated. */
void sessions_on_lapsed(struct sessions *all);

/* A control message of another gateway: a member of this one has come back there. */
void sessions_on_control_message(struct sessions *all, const char *data, size_t len);

/* To be called once a second. */
void sessions_tick(struct sessions *all);

#endif
