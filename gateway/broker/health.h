/* health: does Redis do what members need? A probe shows it: every other second a script numbers,
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

/* All of it must outlive it. */
struct health_options {
    struct redis *commands, *subscriber;
    const char *channel; /* of a room that nobody can be in, */
    const char *base;    /* and what its keys begin with */
    bool keeps;          /* what is said is kept for a while */
    bool sharded;        /* the channel is */
    struct metrics *metrics;
};

struct health *health_new(const struct health_options *options);

/* Both connections must have been stopped. NULL is fine. */
void health_free(struct health *health);

/* A connection was lost, or is new: the probe that is under way is forgotten, and Redis is not
 * healthy until the next one comes back. */
void health_reset(struct health *health);

/* Sends a probe at once, instead of one that is under way: one that was sent before the channel was
 * subscribed to does not come back. Both connections are ready. */
void health_send_probe(struct health *health);

/* Redis has refused somebody something: the next probe is sent at the next tick. */
void health_probe_soon(struct health *health);

/* Once a second while both connections are ready: sends a probe when it is time. Returns false when
 * Redis is to be given up, and has as long again from then on; the caller makes both connections
 * again. */
bool health_tick(struct health *health);

/* This came over the channel. Is it the probe that is awaited? */
bool health_take_probe(struct health *health, const char *text);

/* A probe came back since the connections are new, and the next does not take longer than a second.
 */
bool health_is_ok(const struct health *health);

/* When a probe last came back; 0: never. Monotonic, in ms. */
int64_t health_last_ok_ms(const struct health *health);

/* Why Redis refused the last probe that was answered, a sentence; NULL when one has come back
 * since. Valid until the next call. */
const char *health_why_refused(const struct health *health);

#endif
