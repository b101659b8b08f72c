/* What broker.c (connections, channels, the loop) and broker_calls.c (calls and answers) share. */
#ifndef YUKIZURI_BROKER_INTERNAL_H
#define YUKIZURI_BROKER_INTERNAL_H

#include "broker.h"

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
    struct link in_broker;
    struct link channels;
    struct link unanswered; /* calls, in the order in which they came */
    struct broker *broker;
    struct bufferevent *stream;
    redisReader *reader;
    bool subscriber;
};

struct broker_call {
    struct link in_broker;
    struct link in_peer;
    const struct broker *broker;
    struct peer *peer; /* NULL once the connection is gone */
    redisReply *words;
    const char *name;
    size_t first_key, key_count;
    bool returned; /* by broker_await */
    bool answered;
    struct evbuffer *answer;
};

struct rule {
    const char *name;
    const char *value; /* NULL: it is held */
};

struct broker {
    struct event_base *base;
    struct evconnlistener *listener;
    struct link peers, calls;
    struct rule rules[BROKER_RULES];
    size_t rule_count;
    bool away;
    void (*steps)(void *arg); /* see broker_follow; NULL: none */
    void *steps_arg;
    char hashes[BROKER_SCRIPTS][BROKER_HASH_BYTES];
    char directory[32];
    char url[64];
};

/* --- broker.c --- */

/* NULL when it is not subscribed. */
struct channel *broker_find_channel(const struct peer *peer, const char *name);

/* --- broker_calls.c --- */

void broker_hash_scripts(struct broker *broker);

/* Takes the words over. */
void broker_take_call(struct peer *peer, redisReply *words);
void broker_free_calls(struct broker *broker);

#endif
