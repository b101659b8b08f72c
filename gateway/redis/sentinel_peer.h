/* sentinel_peer: one Redis Sentinel: a connection on which it is asked who the master is, and one
 * on which it tells of failovers. Both are made again for ever. Believes nothing: what the answers
 * are worth is decided by `sentinel`, of which it is a part.
 *
 * Callbacks run from the event loop only; they may ask, but not free it. */
#ifndef YUKIZURI_REDIS_SENTINEL_PEER_H
#define YUKIZURI_REDIS_SENTINEL_PEER_H

#include "redis/connection.h"
#include "redis/sentinel_vote.h"

struct sentinel_peer;

struct sentinel_peer_callbacks {
    /* It can be asked; also when a lost subscription is there again, and events may have passed. */
    void (*on_ready)(void *arg, struct sentinel_peer *peer);
    /* It has answered, or will not: sentinel_peer_answer, sentinel_peer_why. */
    void (*on_answer)(void *arg, struct sentinel_peer *peer);
    void (*on_switched)(void *arg);      /* it tells of another master: ask */
    void (*on_promoting)(void *arg);     /* a replica is about to be promoted */
    void (*on_login_refused)(void *arg); /* for want of a password, or because it is another one */
    /* It knows another Sentinel, whose id is `id`, never "". */
    void (*on_other)(void *arg, const struct redis_host *host, const char *id);
};

struct sentinel_peer_options {
    struct event_base *base;
    const struct redis_url *url; /* which Sentinel, with its user and password; copied */
    const char *service;         /* the master's name */
    struct redis_tls *tls;       /* NULL: none is wanted */
    const char *client_name;     /* copied */
    struct metrics *metrics;
    const struct sentinel_peer_callbacks *callbacks;
    void *arg;
};

/* All pointers in the options must outlive it, but for what is copied. */
struct sentinel_peer *sentinel_peer_new(const struct sentinel_peer_options *options);

/* NULL is fine. No callback after this. */
void sentinel_peer_free(struct sentinel_peer *peer);

/* From the next connection on. */
void sentinel_peer_set_password(struct sentinel_peer *peer, const char *password);

/* Asks it, if it can be reached. Should it be asked already, it is asked once more after that: what
 * it was about to say may be older than the reason for this question. */
void sentinel_peer_ask(struct sentinel_peer *peer);

/* Is an answer awaited? */
bool sentinel_peer_is_asked(const struct sentinel_peer *peer);

/* Asks it which other Sentinels watch the master: on_other, for each. */
void sentinel_peer_ask_for_others(struct sentinel_peer *peer);

/* What it last answered; `given` is false when that was no master. */
const struct sentinel_answer *sentinel_peer_answer(const struct sentinel_peer *peer);

/* Why it last gave no answer: a sentence; "" when it gave one, or was not asked yet. */
const char *sentinel_peer_why(const struct sentinel_peer *peer);

/* It answers, and does not know the name. */
bool sentinel_peer_is_ignorant(const struct sentinel_peer *peer);

/* By which the other Sentinels know it; "" while it is not known. */
const char *sentinel_peer_id(const struct sentinel_peer *peer);

/* Its host and port. */
const struct redis_url *sentinel_peer_url(const struct sentinel_peer *peer);

#endif
