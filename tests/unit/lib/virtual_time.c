#include "virtual_time.h"

#include <event2/event.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    TURNS = 32,     /* from a client's frame to Redis and back it is fewer */
    STEP_TURNS = 8, /* while time passes, what is under way may take more than a step */
    STEP_MS = 50,
    LONGEST_MOMENT_NS = 1000000,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
    S_PER_DAY = 86400,
};

static struct event_base *base;
static void (*watcher)(void);
static int64_t seen_ns, now_ns;
static time_t wall_ahead_s;

static int64_t as_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

/* In the place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *out)
{
    int result = (int)syscall(SYS_clock_gettime, id, out);
    if (result == 0 && id == CLOCK_REALTIME)
        out->tv_sec += wall_ahead_s;
    if (result != 0 || (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE))
        return result;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, out);
    int64_t real_ns = as_ns(out);
    int64_t moment_ns = real_ns - seen_ns;
    if (seen_ns == 0)
        now_ns = real_ns;
    else
        now_ns += moment_ns < LONGEST_MOMENT_NS ? moment_ns : LONGEST_MOMENT_NS;
    seen_ns = real_ns;
    out->tv_sec = (time_t)(now_ns / NS_PER_S);
    out->tv_nsec = (long)(now_ns % NS_PER_S);
    return 0;
}

void loop_open(void)
{
    base = event_base_new();
}

void loop_close(void)
{
    event_base_free(base);
    base = NULL;
    wall_ahead_s = 0;
}

struct event_base *loop_base(void)
{
    return base;
}

void loop_watch(void (*on_iteration)(void))
{
    watcher = on_iteration;
}

static void turn(int times)
{
    for (int i = 0; i < times; i++) {
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (watcher != NULL)
            watcher();
    }
}

void loop_settle(void)
{
    turn(TURNS);
}

void loop_stop_ms(int64_t ms)
{
    now_ns += ms * NS_PER_MS;
}

void loop_skip_day(void)
{
    wall_ahead_s += S_PER_DAY;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

bool loop_until(bool (*done)(void *arg), void *arg, int64_t ms)
{
    int64_t end_ns = now_ns + ms * NS_PER_MS;
    loop_settle();
    while (!done(arg)) {
        if (now_ns >= end_ns) {
            loop_settle();
            return done(arg);
        }
        loop_stop_ms(STEP_MS);
        turn(STEP_TURNS);
    }
    return true;
}

void loop_pass_ms(int64_t ms)
{
    loop_until(never, NULL, ms);
}
