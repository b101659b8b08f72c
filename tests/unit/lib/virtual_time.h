/* loop: the event loop of a test, and its time.
 *
 * The monotonic clock of the whole process, libevent's timers included, is the test's own: it
 * moves on by itself no faster than by a millisecond between two looks at it, however long the
 * machine is busy with something else, and jumps where a test says so. Half a minute of grace costs
 * some milliseconds, and nothing depends on how fast the machine is.
 *
 * One loop at a time. Link it where it is wanted: it takes the place of clock_gettime. */
#ifndef YUKIZURI_VIRTUAL_TIME_H
#define YUKIZURI_VIRTUAL_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

void loop_open(void);
void loop_close(void);
struct event_base *loop_base(void);

/* From here on `on_iteration` is called after each iteration of the loop. NULL: nothing is. */
void loop_watch(void (*on_iteration)(void));

/* Turns until whatever is under way has come to rest; timers that are not due do not matter. */
void loop_settle(void);

/* So much time passes, in steps of which each settles. */
void loop_pass_ms(int64_t ms);

/* So much time passes at once, as for a process that was stopped meanwhile. */
void loop_stop_ms(int64_t ms);

/* The clock on the wall goes on by a day, until loop_close; no time passes. */
void loop_skip_day(void);

/* Lets time pass until `done`; false when it was not within `ms`. */
bool loop_until(bool (*done)(void *arg), void *arg, int64_t ms);

#endif
