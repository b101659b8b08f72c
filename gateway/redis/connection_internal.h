/* One connection to Redis, as connection.c has it, and what that does for greeting.c and
 * hold.c. */
#ifndef YUKIZURI_REDIS_CONNECTION_INTERNAL_H
#define YUKIZURI_REDIS_CONNECTION_INTERNAL_H

#include "redis/connection.h"
#include "redis/loss_reason.h"
#include "redis/pipeline.h"

#include <stdarg.h>

enum redis_connection_state { REDIS_WAITING, REDIS_CONNECTING, REDIS_GREETING, REDIS_READY };

struct redis_connection {
    struct redis_options options;
    struct redis_callbacks callbacks;
    void *arg;
    char *client_name;
    enum redis_connection_state state;
    struct bufferevent *stream;
    struct evbuffer *unsent; /* until redis_connection_flush */
    struct redis_replies *replies;
    struct resolution *resolution; /* while the host's name is being looked up */
    struct event *timer;           /* retry, connect timeout, or the oldest command's deadline */
    struct pipeline pipeline;
    struct pipeline failed; /* who is told at the loop's next iteration that no answer will come */
    struct event *deferred; /* that iteration */
    bool lost;              /* and on_lost is called in it */
    bool at_once;           /* after it the next connection is not waited for */
    char why[LOSS_REASON_BYTES];
    uint8_t first[2];           /* what came first over this connection, */
    ptrdiff_t first_len;        /* so much of it; 0: nothing came yet */
    bool held;                  /* commands wait for a server, */
    struct evbuffer *held_back; /* these */
    struct pipeline held_commands;
    unsigned attempts; /* since redis_connection_reset_backoff */
    int64_t last_rx_ms;
    struct redis_server server;
};

/* Nothing comes or goes any more from here on. Who waits is told at the loop's next iteration:
 * whoever calls this may be in the middle of something that those who are told would change. */
void redis_connection_lose(struct redis_connection *redis, const char *why);

/* The timer is set for the oldest command's deadline, if the connection is ready. */
void redis_connection_await_deadline(struct redis_connection *redis);

/* Authenticated, database chosen. */
void redis_connection_become_ready(struct redis_connection *redis);

#endif
