/* skipping_clock: clock.h with hands that a test can move. Timers of an event loop do not notice.
 * It takes the place of clock.c in the tests that are linked with it. */
#ifndef YUKIZURI_SKIPPING_CLOCK_H
#define YUKIZURI_SKIPPING_CLOCK_H

#include <stdint.h>

/* From now on both clocks are so much later. */
void clock_skip_ms(int64_t ms);

/* They show the real time again. */
void clock_skip_back(void);

#endif
