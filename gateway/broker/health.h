/* probe: is the way open that members need through Redis? Every other second a script numbers,
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

struct probe;

/* All of it must outlive the probe. */
struct probe_options {
    struct redis *commands, *subscriber;
    const char *channel; /* of a room that nobody can be in, */
    const char *base;    /* and what its keys begin with */
    bool keeps;          /* what is said is kept for a while */
    struct metrics *metrics;
};

struct probe *probe_new(const struct probe_options *options);

/* Both connections must have been stopped. NULL is fine. */
void probe_free(struct probe *probe);

/* A connection was lost, or is new: what was under way is forgotten, and nothing is proven. */
void probe_forget(struct probe *probe);

/* Sends one at once, instead of one that is under way: one that was sent before the channel was
 * subscribed to does not come back. Both connections are ready. */
void probe_send(struct probe *probe);

/* Redis has refused somebody something: the next one is sent at the next tick. */
void probe_hurry(struct probe *probe);

/* Once a second while both connections are ready: sends one when it is time. Returns false when
 * Redis is to be given up; the caller makes both connections anew. */
bool probe_tick(struct probe *probe);

/* This came over the channel, without its first word. Is it the one that was awaited? */
bool probe_came(struct probe *probe, const char *text);

/* The word that what is published begins with, and a space. */
#define PROBE_WORD "probe "

/* One came back since the connections are new, and the next does not take longer than a second. */
bool probe_flows(const struct probe *probe);

/* When one last came back; 0: never. Monotonic, in ms. */
int64_t probe_back_ms(const struct probe *probe);

/* Why Redis refused the last one that was answered, a sentence; NULL when one has come back since.
 * Valid until the next call. */
const char *probe_refused(const struct probe *probe);

#endif
