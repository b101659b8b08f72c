/* What fake_redis.c (connections, channels, the loop) and fake_redis_calls.c (calls and answers)
 * share.
 */
#ifndef YUKIZURI_FAKE_REDIS_INTERNAL_H
#define YUKIZURI_FAKE_REDIS_INTERNAL_H

#include "fake_redis.h"

#include "base/digest.h"
#include "base/list.h"

#include <hiredis/hiredis.h>

struct evbuffer;

enum {
    BROKER_RULES = 32,
    BROKER_SCRIPTS = 32,
    BROKER_HASH_BYTES = DIGEST_SHA1_BYTES * 2 + 1, /* in hex, with the NUL */
};

struct channel {
    struct link link;
    char name[];
};

struct peer {
    struct link in_redis;
    struct link channels;
    struct link unanswered; /* calls, in the order in which they came */
    struct fake_redis *fake;
    struct bufferevent *stream;
    redisReader *reader;
    bool subscriber;
};

struct fake_redis_call {
    struct link in_redis; /* of the fake's calls; in none: it is not kept */
    struct link in_peer;
    const struct fake_redis *fake;
    struct peer *peer; /* NULL once the connection is gone */
    redisReply *words;
    const char *name;
    size_t first_key, key_count;
    bool returned; /* by fake_redis_await */
    bool answered;
    struct evbuffer *answer;
};

struct rule {
    const char *name;
    const char *value; /* NULL: it is held */
};

struct fake_redis {
    struct event_base *base;
    struct evconnlistener *listener;
    struct link peers, calls;
    struct rule rules[BROKER_RULES];
    size_t rule_count;
    bool away;
    void (*steps)(void *arg); /* see fake_redis_follow; NULL: none */
    void *steps_arg;
    char hashes[BROKER_SCRIPTS][BROKER_HASH_BYTES];
    char directory[32]; /* "" on a port */
    int port;
    char url[64];
};

/* --- fake_redis.c --- */

/* NULL when it is not subscribed. */
struct channel *fake_redis_find_channel(const struct peer *peer, const char *name);

/* --- fake_redis_calls.c --- */

void fake_redis_hash_scripts(struct fake_redis *fake);

/* Takes the words over. */
void fake_redis_take_call(struct peer *peer, redisReply *words);
void fake_redis_free_calls(struct fake_redis *fake);

/* To be called when it is in no connection any more. */
void fake_redis_free_call_unless_kept(struct fake_redis_call *call);

#endif
