#include "broker/redis_time.h"

#include "base/clock.h"
#include "base/number.h"

static void on_time(void *arg, const struct redis_reply *reply)
{
    struct redis_time *time = arg;
    uint64_t seconds = redis_reply_number(redis_reply_at(reply, 0));
    uint64_t us = redis_reply_number(redis_reply_at(reply, 1));
    if (seconds > 0 && seconds < NUMBER_END / 1000)
        remote_clock_note(&time->clock, time->asked_ms, clock_monotonic_ms(),
                          (int64_t)(seconds * 1000 + us / 1000));
    time->asked_ms = 0;
}

void redis_time_ask(struct redis_time *time)
{
    if (time->asked_ms == 0 && redis_send_strings(time->redis, on_time, time, "TIME", NULL) == 0)
        time->asked_ms = clock_monotonic_ms();
}

void redis_time_ask_anew(struct redis_time *time)
{
    remote_clock_doubt(&time->clock);
    redis_time_ask(time);
}
