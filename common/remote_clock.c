#include "remote_clock.h"

/* Long enough to remember a quick answer while the other machine is slow for minutes, and short
 * enough for clocks that drift apart by half a thousandth. */
enum { PERIOD_MS = 300000 };

void remote_clock_note(struct remote_clock *clock, int64_t now_ms, int64_t remote_ms)
{
    int64_t ahead_ms = remote_ms - now_ms;
    int64_t period = now_ms / PERIOD_MS + 1;
    if (clock->period != period) {
        clock->ahead_ms[1] = clock->period == period - 1 ? clock->ahead_ms[0] : ahead_ms;
        clock->ahead_ms[0] = ahead_ms;
        clock->period = period;
    } else if (ahead_ms > clock->ahead_ms[0]) {
        clock->ahead_ms[0] = ahead_ms;
    }
}

int64_t remote_clock_at(const struct remote_clock *clock, int64_t at_ms)
{
    if (clock->period == 0)
        return 0;
    const int64_t *ahead_ms = clock->ahead_ms;
    return at_ms + (ahead_ms[0] > ahead_ms[1] ? ahead_ms[0] : ahead_ms[1]);
}
