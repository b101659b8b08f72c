/* remote_clock: the time of another machine, reckoned from what it answers to "what time is it?".
 *
 * An answer is older than when it comes, by up to the whole round: each shows a clock that is
 * behind the real one, never ahead, and the one that took the shortest is the closest. No I/O. */
#ifndef YUKIZURI_REMOTE_CLOCK_H
#define YUKIZURI_REMOTE_CLOCK_H

#include <stdint.h>

/* Zero when made: nothing is known. It remembers five to ten minutes: the other clock may be set,
 * and then it shows too much until that is forgotten. */
struct remote_clock {
    int64_t ahead_ms[2]; /* by so much it is ahead of ours: in this period, and the one before */
    int64_t period;      /* of our clock; 0: nothing is known */
};

/* It answered `remote_ms` (positive), and that came at `now_ms` of our clock, which never goes
 * back. */
void remote_clock_note(struct remote_clock *clock, int64_t now_ms, int64_t remote_ms);

/* What it shows at `at_ms` of our clock, or a little less; 0 when nothing is known. */
int64_t remote_clock_at(const struct remote_clock *clock, int64_t at_ms);

#endif
