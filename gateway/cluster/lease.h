/* lease: this process' hold on its gateway-id, the key yukizuri:gateway:ID. A process is one `life`
 * of a gateway (bus_life); two lives never go on side by side under one id, but for one that drains
 * while its successor has begun. Part of `presence`. Knows no rooms and no members.
 *
 * Callbacks run from the event loop only. */
#ifndef YUKIZURI_CLUSTER_LEASE_H
#define YUKIZURI_CLUSTER_LEASE_H

#include "broker/broker.h"

struct event_base;
struct lease;

struct lease_callbacks {
    void (*on_taken)(void *arg);  /* for the first time it is ours: the gateway may begin */
    void (*on_lapsed)(void *arg); /* it had run out or Redis forgot it; it is ours again */
    void (*on_failed)(void *arg); /* it could not be renewed: no answer, or an error */
    /* Another living process has our id: it had it at our start, or it took it while we were
     * thought dead. `why` is a sentence, valid until the return. Called once; lease_drain and
     * lease_leave are the only sensible calls from then on. */
    void (*on_refused)(void *arg, const char *why);
    void (*on_superseded)(void *arg);
    /* Begins to wait until another process of our id, which has the lease, is gone or has shown
     * that it lives; or does so no more: it is ours, or Redis does not answer. */
    void (*on_waiting)(void *arg, bool waiting);
    /* After each answer: may other lives of ours, who drain, still be at work? */
    void (*on_beside)(void *arg, bool beside);
    /* It was given back, and no other life of ours was there: what is asked of Redis from within is
     * answered before lease_leave is done. */
    void (*on_gone)(void *arg);
};

struct lease_options {
    struct event_base *base;
    struct bus *bus;
    struct metrics *metrics;
    struct log *log;
};

struct lease *lease_new(const struct lease_options *options,
                        const struct lease_callbacks *callbacks, void *arg);

/* Redis' replies must have come or been failed before (bus_free). NULL is fine. */
void lease_free(struct lease *lease);

/* To be called three times per lease: takes or renews it. At the start, as long as another life has
 * it, it is asked for again from within: until that one was seen to renew it twice (on_refused), is
 * not subscribed and silent for a second, or has let it run out. */
void lease_renew(struct lease *lease);

/* To be called when Redis is there (again): the same, and what was seen of another life, perhaps in
 * another Redis, counts no more. */
void lease_up(struct lease *lease);

/* Is it ours, as far as we know? */
bool lease_is_held(const struct lease *lease);

/* We are going away: from here on a successor may take it over. At once, and with each renewal. */
void lease_drain(struct lease *lease);

/* Gives it back, should it still be ours, and leaves word that this gateway has stopped and did not
 * die. 0: `done` is called once, with an answer or without; -1: there is nothing to give back, or
 * no connection, and `done` is never called. */
int lease_leave(struct lease *lease, void (*done)(void *arg), void *arg);

#endif
