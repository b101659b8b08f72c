/* skipping_clock: base/clock.h with hands that a test can stop and move. Timers of an event loop do
 * not notice. It takes the place of base/clock.c in the tests that are linked with it. */
#ifndef YUKIZURI_SKIPPING_CLOCK_H
#define YUKIZURI_SKIPPING_CLOCK_H

#include <stdint.h>

/* It stands still from here on, but for clock_skip_ms: however long a test takes on a busy machine,
 * no deadline of the program passes, such as that of a call to Redis (5 s). */
void clock_stop(void);

/* From now on it is so much later. */
void clock_skip_ms(int64_t ms);

/* It goes again, and shows the real time. */
void clock_restart(void);

#endif
