/* probe: is the way open that a message takes through Redis? Every other second something is
 * written and then published on the gateway's own channel, and has to come back. A Redis that takes
 * no writes (no memory, a replica) is as good as away, and says why. One that is slow is waited for
 * as long as it says anything, half a minute at most; one that is silent for five seconds is given
 * up; the time in which this process did not run itself is not counted.
 *
 * Owns neither connection; calls nobody back. */
#ifndef YUKIZURI_PROBE_H
#define YUKIZURI_PROBE_H

#include "metrics.h"
#include "redis.h"

#include <stdbool.h>
#include <stdint.h>

struct probe;

/* All of it must outlive the probe. */
struct probe_options {
    struct redis *commands, *subscriber;
    const char *key;     /* to write to */
    const char *channel; /* to publish on */
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

/* Once a second while both connections are ready: sends one when it is time. Returns false when
 * Redis is to be given up; the caller makes both connections anew. */
bool probe_tick(struct probe *probe);

/* This came over the channel, without its first word. */
void probe_came(struct probe *probe, const char *text);

/* The word that what is published begins with, and a space. */
#define PROBE_WORD "probe "

/* One came back since the connections are new, and the next does not take longer than a second. */
bool probe_flows(const struct probe *probe);

/* When one last came back; 0: never. Monotonic, in ms. */
int64_t probe_back_ms(const struct probe *probe);

/* Why Redis takes no writes, NULL when it does. Valid until the next call. */
const char *probe_refused(const struct probe *probe);

#endif
