/* health: is the way open that members need through Redis? Every other second a script numbers,
 * keeps and publishes something in a room that nobody can be in, and it has to come back over that
 * room's channel. A Redis that refuses this (no memory, a replica, rights that its user has not) is
 * as good as away, and says why. One that is slow is waited for as long as it says anything, half a
 * minute at most; one that is silent for five seconds is given up; the time in which this process
 * did not run itself is not counted.
 *
 * Owns neither connection; calls nobody back. */
#ifndef YUKIZURI_BROKER_HEALTH_H
#define YUKIZURI_BROKER_HEALTH_H

#include "redis/client.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct health;

/* All of it must outlive the probe. */
struct health_options {
    struct redis *commands, *subscriber;
    const char *channel; /* of a room that nobody can be in, */
    const char *base;    /* and what its keys begin with */
    bool keeps;          /* what is said is kept for a while */
    struct metrics *metrics;
};

struct health *health_new(const struct health_options *options);

/* Both connections must have been stopped. NULL is fine. */
void health_free(struct health *probe);

/* A connection was lost, or is new: what was under way is forgotten, and nothing is proven. */
void health_forget(struct health *probe);

/* Sends one at once, instead of one that is under way: one that was sent before the channel was
 * subscribed to does not come back. Both connections are ready. */
void health_send(struct health *probe);

/* Redis has refused somebody something: the next one is sent at the next tick. */
void health_hurry(struct health *probe);

/* Once a second while both connections are ready: sends one when it is time. Returns false when
 * Redis is to be given up; the caller makes both connections anew. */
bool health_tick(struct health *probe);

/* This came over the channel, without its first word. Is it the one that was awaited? */
bool health_came(struct health *probe, const char *text);

/* The word that what is published begins with, and a space. */
#define HEALTH_PROBE_WORD "probe "

/* One came back since the connections are new, and the next does not take longer than a second. */
bool health_is_good(const struct health *probe);

/* When one last came back; 0: never. Monotonic, in ms. */
int64_t health_back_ms(const struct health *probe);

/* Why Redis refused the last one that was answered, a sentence; NULL when one has come back since.
 * Valid until the next call. */
const char *health_refused(const struct health *probe);

#endif
