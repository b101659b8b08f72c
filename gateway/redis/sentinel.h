/* sentinel: where the master is, as Redis Sentinels say. All Sentinels of the URL are asked, and
 * those that they tell of: every 5 s, at once when one tells of a failover, and whenever the master
 * is doubted. They are asked at the same time, and what most of them say within a second counts,
 * the newest configuration at once (sentinel_vote.h).
 *
 * It does not talk to the master: whether a server is one, its owner finds out (ROLE) and tells.
 * Callbacks run from the event loop only, never from within a call; they may not free it. */
#ifndef YUKIZURI_REDIS_SENTINEL_H
#define YUKIZURI_REDIS_SENTINEL_H

#include "config/redis_url.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct redis_tls;
struct sentinel;

struct sentinel_master {
    struct redis_host host;
    uint64_t epoch;  /* of the configuration; 0: the Sentinels do not tell */
    const char *why; /* they were asked: the end of a sentence (static) */
};

struct sentinel_callbacks {
    /* The first master, or another one than before. Valid during the call. */
    void (*on_master)(void *arg, const struct sentinel_master *master);
    /* A Sentinel is about to promote a replica: what is written from here on may be lost. */
    void (*on_promoting)(void *arg);
    /* They have been asked: NULL when one has answered; else why no master is known, or nobody
     * could be asked for it, a sentence. */
    void (*on_asked)(void *arg, const char *why);
    void (*on_login_refused)(void *arg); /* sentinel_set_password has a better one, perhaps */
};

struct sentinel_options {
    struct event_base *base;
    const struct redis_url *url; /* REDIS_SENTINEL */
    const char *user;            /* of the Sentinels; NULL for none */
    const char *password;        /* "" for none */
    struct redis_tls *tls;       /* NULL: none is wanted */
    const char *client_name;
    struct metrics *metrics;
};

/* Starts to ask. `url`, `tls` and `metrics` must outlive it; the rest is copied. */
struct sentinel *sentinel_new(const struct sentinel_options *options,
                              const struct sentinel_callbacks *callbacks, void *arg);

/* NULL is fine. No callback after this. */
void sentinel_free(struct sentinel *sentinel);

/* From the next connections on. */
void sentinel_set_password(struct sentinel *sentinel, const char *password);

/* The master cannot be talked to: asks soon, and again and again until sentinel_trust. */
void sentinel_doubt(struct sentinel *sentinel);

/* The server that was named says that it is no master: the same, and others are believed first. */
void sentinel_refute(struct sentinel *sentinel);

/* The master is there, and is one. */
void sentinel_trust(struct sentinel *sentinel);

/* Why no master is known: a sentence; NULL when one is. Valid until the next call of the loop. */
const char *sentinel_why_none(const struct sentinel *sentinel);

#endif
