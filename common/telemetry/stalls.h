/* stalls: when a gateway does not keep up with the time. Measures each iteration of the event loop,
 * and logs iterations that take long (this process has too much to do), and of times
 * in which it did not run at all (it was stopped, or its host stood still). */
#ifndef YUKIZURI_TELEMETRY_STALLS_H
#define YUKIZURI_TELEMETRY_STALLS_H

#include "telemetry/log.h"
#include "telemetry/metrics.h"

struct stalls;

/* Both must outlive it. */
struct stalls *stalls_new(struct metrics *metrics, struct log *log);

/* NULL is fine. */
void stalls_free(struct stalls *stalls);

/* An iteration of the loop is over, which began with metrics_begin_iteration; one in which that was
 * not called had nothing to do. */
void stalls_end_iteration(struct stalls *stalls);

/* To be called when the loop begins, and from then on by a timer of one second: how late it is
 * shows for how long nothing ran. Each line is logged at most once a minute, and says how often. */
void stalls_tick(struct stalls *stalls);

#endif
