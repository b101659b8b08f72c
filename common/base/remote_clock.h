/* remote_clock: the time of another machine, reckoned from what it answers to "what time is it?".
 *
 * By how much its clock is ahead of ours lies between two bounds, as it answered after it was asked
 * and before the answer came (as in Cristian, "Probabilistic clock synchronization", 1989). What is
 * believed is changed by no more than these bounds demand: a quick answer counts until a later one
 * contradicts it, because the clocks drift or one of them was set. No I/O. */
#ifndef YUKIZURI_BASE_REMOTE_CLOCK_H
#define YUKIZURI_BASE_REMOTE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Zero when made: nothing is measured. */
struct remote_clock {
    bool measured;
    bool guessed;     /* it was measured once, maybe on another machine */
    int64_t ahead_ms; /* of ours */
};

/* Asked at `asked_ms` and answered at `answered_ms` of our clock, which never goes back, it showed
 * `remote_ms`. */
void remote_clock_note(struct remote_clock *clock, int64_t asked_ms, int64_t answered_ms,
                       int64_t remote_ms);

/* It may be another machine: nothing is measured. */
void remote_clock_doubt(struct remote_clock *clock);

/* What it shows at `at_ms` of our clock, to within half of what the quickest answer took; 0 when
 * nothing is measured. */
int64_t remote_clock_at(const struct remote_clock *clock, int64_t at_ms);

/* The same, but that in doubt the last measurement counts; 0 when there was none. */
int64_t remote_clock_guess(const struct remote_clock *clock, int64_t at_ms);

#endif
