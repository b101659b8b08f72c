/* fake_clock: the program's clocks (common/clock.h) in a test's hands: they stand still until the
 * test says. A test that calls this has them; the timers of the event loop go on as they are. */
#ifndef YUKIZURI_FAKE_CLOCK_H
#define YUKIZURI_FAKE_CLOCK_H

#include <stdint.h>

void fake_clock_pass_ms(int64_t ms);

#endif
