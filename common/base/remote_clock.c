#include "base/remote_clock.h"

void remote_clock_note(struct remote_clock *clock, int64_t asked_ms, int64_t answered_ms,
                       int64_t remote_ms)
{
    int64_t least = remote_ms - answered_ms;
    int64_t most = remote_ms - asked_ms;
    if (!clock->measured)
        clock->ahead_ms = least + (most - least) / 2;
    else if (clock->ahead_ms < least)
        clock->ahead_ms = least;
    else if (clock->ahead_ms > most)
        clock->ahead_ms = most;
    clock->measured = true;
    clock->guessed = true;
}

void remote_clock_doubt(struct remote_clock *clock)
{
    clock->measured = false;
}

int64_t remote_clock_at(const struct remote_clock *clock, int64_t at_ms)
{
    return clock->measured ? at_ms + clock->ahead_ms : 0;
}

int64_t remote_clock_guess(const struct remote_clock *clock, int64_t at_ms)
{
    return clock->guessed ? at_ms + clock->ahead_ms : 0;
}
