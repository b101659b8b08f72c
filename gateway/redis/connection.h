/* redis_connection: one connection to Redis: TCP, TLS or unix socket; AUTH, SELECT; pipelined
 * commands with deadlines; reconnects with jitter. Bytes move over a libevent bufferevent.
 *
 * It does not know what the commands mean. Callbacks run from the event loop only, never from
 * within the call that caused them, but for redis_connection_stop, after which the loop does not
 * run any more; a callback may send commands, or drop the connection, but not free it. */
#ifndef YUKIZURI_REDIS_CONNECTION_H
#define YUKIZURI_REDIS_CONNECTION_H

#include "config/redis_url.h"
#include "redis/error.h"
#include "redis/resp_decode.h"
#include "redis/resp_encode.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster;
struct event_base;
struct redis_connection;
struct redis_tls;

struct redis_callbacks {
    void (*on_ready)(void *arg);                 /* authenticated, database chosen */
    void (*on_lost)(void *arg, const char *why); /* was ready, or could not become it */
    /* Each error that Redis sends, also inside an array, whoever sent the command; before the
     * command is answered. */
    void (*on_error)(void *arg, const struct redis_error *error);
    /* Subscriber: a "message", an "smessage", or a "sunsubscribe" that was asked for or not. */
    void (*on_push)(void *arg, const struct redis_reply *reply);
    /* Subscriber of a cluster: channels are at other nodes (redis_place). */
    void (*on_places)(void *arg);
};

/* What the server has to be. */
enum redis_role {
    REDIS_ROLE_ANY,
    REDIS_ROLE_MASTER,   /* by its own words: ROLE; else the connection is lost */
    REDIS_ROLE_SENTINEL, /* which has no databases; its connections are not in Redis' metrics */
};

struct redis_options {
    struct event_base *base;
    const struct redis_url *url; /* must outlive the connection. Of a scheme without a server it
                                    is waited for another one: redis_connection_move */
    enum redis_role role;
    /* Which of a name's addresses is tried: both connections of a gateway are to reach one Redis.
     * Incremented when the connection for commands fails; must outlive both. */
    unsigned *address_index;
    struct redis_tls *tls;            /* must outlive it; NULL: none is wanted */
    const char *client_name;          /* CLIENT SETNAME; copied */
    bool subscriber;                  /* what is published goes to on_push; commands are answered */
    struct redis_reply_limits limits; /* a longer reply is the end of the connection */
    struct metrics *metrics;
    /* What every server is to have is sent there, from within, before anything else is; NULL:
     * nothing. */
    void (*prepare)(struct redis_connection *connection);
    struct cluster *cluster; /* of client.h: where the commands go; NULL: to `url` */
};

/* A reply, or NULL when none came: connection lost, or the deadline passed. A reply that comes
 * after its deadline is dropped. */
typedef void (*redis_done)(void *arg, const struct redis_reply *reply);

/* Starts to connect, and goes on trying for ever. */
struct redis_connection *redis_connection_new(const struct redis_options *options,
                                              const struct redis_callbacks *callbacks, void *arg);

/* Closes it for good; waiting commands get their callback without a reply, from within. on_lost is
 * not called. */
void redis_connection_stop(struct redis_connection *redis);

/* Stops and frees it. NULL is fine. */
void redis_connection_free(struct redis_connection *redis);

/* Are commands taken? */
bool redis_connection_is_ready(const struct redis_connection *redis);

/* What INFO told of the Redis that answers since the connection was last made; a text is "" when
 * its user may not ask, or while there is none. */
struct redis_server {
    char run_id[48]; /* which process it is */
    char version[24];
};
const struct redis_server *redis_connection_server(const struct redis_connection *redis);

/* Asks again, with redis_connection_flush, for a run_id that is "": its user may be allowed to by
 * now. Does nothing while there is no connection. */
void redis_connection_ask_server(struct redis_connection *redis);

/* When something last came from Redis, whatever it was. Monotonic, in ms; 0: never. */
int64_t redis_connection_last_rx_ms(const struct redis_connection *redis);

/* Redis does what is asked of it: should the connection be lost from here on, the next one is made
 * soon. Until this is called each attempt waits longer than the one before, up to a second: a Redis
 * that lets us in and then refuses everything is not asked in a loop. */
void redis_connection_reset_backoff(struct redis_connection *redis);

/* Drops the connection and makes a new one, resolving its name again: for a peer that went silent
 * or is not the one to talk to. Nothing is sent or received any more; who waits, and on_lost, is
 * told at the loop's next iteration. Does nothing when it is not ready. */
void redis_connection_reconnect(struct redis_connection *redis, const char *why);

/* The URL names another server: drops the connection, in whatever state it is, as
 * redis_connection_reconnect does, and connects to that one at once. */
void redis_connection_move(struct redis_connection *redis, const char *why);

/* From here on commands are taken, whether there is a connection or not, and wait: until the next
 * connection becomes ready, over which they go then, behind what on_ready sends, or until
 * redis_connection_release. For when the server is about to be replaced by another one. */
void redis_connection_hold(struct redis_connection *redis);

/* What waits goes over the present connection; where there is none, no answer will come. False
 * when they were not held any more. */
bool redis_connection_release(struct redis_connection *redis);

/* Do commands wait? */
bool redis_connection_is_held(const struct redis_connection *redis);

/* What was sent since the last call goes to the socket at once; with TLS, or behind what the socket
 * did not take before, in the next iteration of the loop. */
void redis_connection_flush(struct redis_connection *redis);

/* Sends a command, with redis_connection_flush; the words stay the caller's. 0; or -1 when there is
 * no connection: `done` is then never called. `done` may be NULL. The deadline is
 * REDIS_DEADLINE_MS.
 */
int redis_connection_send(struct redis_connection *redis, const struct redis_words *words,
                          redis_done done, void *arg);

/* `done` is called without a reply at the loop's next iteration, after all who have waited longer:
 * for what was promised an answer and found no connection. */
void redis_connection_fail(struct redis_connection *redis, redis_done done, void *arg);

/* redis_connection_send of a NULL-terminated list of strings. */
int redis_connection_send_strings(struct redis_connection *redis, redis_done done, void *arg,
                                  const char *first, ...) __attribute__((sentinel));

/* Subscriber: leaves a sharded channel. Nobody is told but by a "sunsubscribe", if at all: a node
 * that has not the channel's slot any more answers with an error. 0; or -1 without a connection. */
int redis_connection_unsubscribe_sharded(struct redis_connection *redis, const char *channel);

/* Of the command that was just sent, with success: a user without the right to it is no fault. The
 * error is told as one that was expected (redis_error_mark_optional). */
void redis_connection_mark_optional(struct redis_connection *redis);

/* Why what had to be a master was lost, when it is none. */
#define REDIS_NO_MASTER "this server says that it is no master"

enum { REDIS_DEADLINE_MS = 5000 };

#endif
