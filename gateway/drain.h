/* drain: how a gateway goes away: what is told to whom, and in which order. /readyz says 503 at
 * once; newcomers are let in for as long as `drain-delay` says, until balancers have looked; then
 * nobody is listened for, members are sent elsewhere, spread over `drain`, and when all are gone it
 * is over. */
#ifndef YUKIZURI_DRAIN_H
#define YUKIZURI_DRAIN_H

#include <stdbool.h>

struct config;
struct drain;
struct event_base;
struct http_server;
struct listener;
struct log;
struct ops;
struct presence;
struct sessions;

/* All of these must outlive the drain. */
struct drain_options {
    struct event_base *base;
    const struct config *config;
    struct log *log;
    struct http_server *http;
    struct ops *ops;
    struct listener *listener;
    struct presence *presence;
    struct sessions *sessions;
    void (*on_over)(void *arg); /* everybody is gone, or had their time; once, from the loop */
    void *arg;
};

struct drain *drain_new(const struct drain_options *options);

/* NULL is fine. */
void drain_free(struct drain *drain);

/* Begins; `delayed`: with `drain-delay`, without it at once. Nothing when it has begun. */
void drain_begin(struct drain *drain, bool delayed);

bool drain_has_begun(const struct drain *drain);

/* Has it begun only just? A signal that was sent to a whole group of processes, and passed on by
 * one of them, may come a second time then. */
bool drain_is_fresh(const struct drain *drain);

#endif
