/* lease: this process' hold on its gateway-id, the key yukizuri:gateway:ID. A process is one
 * incarnation of a gateway (broker_incarnation); two incarnations never go on side by side under
 * one id, but for one that drains while its successor has begun. Part of `membership`. Knows no
 * rooms and no members.
 *
 * Callbacks run from the event loop only. */
#ifndef YUKIZURI_CLUSTER_LEASE_H
#define YUKIZURI_CLUSTER_LEASE_H

#include "broker/broker.h"

struct event_base;
struct lease;

enum lease_news {
    LEASE_TAKEN,  /* for the first time it is ours: the gateway may begin */
    LEASE_LAPSED, /* it had run out or Redis forgot it; it is ours again */
    LEASE_FAILED, /* it could not be renewed: no answer, or an error */
    /* Another living process has our id: it had it at our start (`why` is a sentence), or it took
     * it while we were thought dead. Reported once; lease_drain and lease_leave are the only
     * sensible calls from then on. */
    LEASE_REFUSED,
    LEASE_SUPERSEDED,
    /* Begins to wait until another process of our id, which has the lease, is gone or has shown
     * that it lives; or does so no more: it is ours, or Redis does not answer. */
    LEASE_AWAITED,
    LEASE_NOT_AWAITED,
    /* After each answer: may other incarnations of ours, who drain, still be at work? */
    LEASE_SHARED,
    LEASE_NOT_SHARED,
    /* It was given back, and no other incarnation of ours was there: what is asked of Redis from
     * within is answered before lease_leave is done. */
    LEASE_GONE,
};

/* `why` is valid until the return, and NULL but for LEASE_REFUSED. */
typedef void (*lease_on_news)(void *arg, enum lease_news news, const char *why);

struct lease_options {
    struct event_base *base;
    struct broker *broker;
    struct metrics *metrics;
    struct log *log;
    lease_on_news on_news;
    void *arg;
};

struct lease *lease_new(const struct lease_options *options);

/* Redis' replies must have come or been failed before (broker_free). NULL is fine. */
void lease_free(struct lease *lease);

/* To be called three times per lease: takes or renews it. At the start, as long as another
 * incarnation has it, it is asked for again from within: until that one was seen to renew it twice,
 * is not subscribed and silent for a second, or has let it run out. */
void lease_renew(struct lease *lease);

/* To be called when Redis is there (again): the same, and what was seen of another incarnation,
 * perhaps in another Redis, counts no more. */
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
