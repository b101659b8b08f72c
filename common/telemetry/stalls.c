#include "telemetry/stalls.h"

#include "base/clock.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SLOW_US = 250000,
    TICK_US = 1000000,
    FROZEN_US = 500000, /* a timer may be late by less on a busy machine, and nobody notices */
    LOG_EVERY_US = 60000000,
};

/* What an iteration did, as far as that is counted. */
struct work {
    uint64_t messages_in, messages_out, joins, leaves;
};

/* One kind of them, since it was last logged. */
struct stall {
    uint64_t count;
    int64_t longest_us;
    int64_t logged_us; /* 0: never */
    struct work work;  /* of the longest */
};

struct stalls {
    struct metrics *metrics;
    struct log *log;
    struct work done;   /* at the end of the iteration before */
    int64_t longest_us; /* of the iterations since the last tick */
    int64_t ticked_us;
    int64_t ticked_cpu_us;
    struct stall slow, frozen;
};

struct stalls *stalls_new(struct metrics *metrics, struct log *log)
{
    struct stalls *stalls = memory_new(sizeof *stalls);
    stalls->metrics = metrics;
    stalls->log = log;
    return stalls;
}

void stalls_free(struct stalls *stalls)
{
    free(stalls);
}

/* --- Noting --- */

/* Time that passed without this process using it was spent by somebody else. */
static bool did_not_run(const struct stalls *stalls, int64_t us)
{
    return clock_process_cpu_us() - stalls->ticked_cpu_us < us / 2;
}

static void note(struct stall *stall, int64_t us, const struct work *work)
{
    stall->count++;
    if (us <= stall->longest_us)
        return;
    stall->longest_us = us;
    stall->work = *work;
}

static void note_stall(struct stalls *stalls, int64_t us, const struct work *work)
{
    if (!did_not_run(stalls, us)) {
        stalls->metrics->slow_iterations++;
        note(&stalls->slow, us, work);
    } else if (us >= FROZEN_US) {
        stalls->metrics->frozen++;
        stalls->metrics->frozen_ms += (uint64_t)us / 1000;
        note(&stalls->frozen, us, work);
    }
}

static struct work work_until_now(const struct metrics *metrics)
{
    return (struct work){metrics->messages_in, metrics->messages_out, metrics->joins,
                         metrics->leaves};
}

static struct work work_since(const struct work *before, const struct work *now)
{
    return (struct work){now->messages_in - before->messages_in,
                         now->messages_out - before->messages_out, now->joins - before->joins,
                         now->leaves - before->leaves};
}

void stalls_end_iteration(struct stalls *stalls)
{
    struct metrics *metrics = stalls->metrics;
    if (metrics->iteration_begun_us == 0)
        return;
    int64_t us = clock_monotonic_us() - metrics->iteration_begun_us;
    struct work now = work_until_now(metrics);
    metrics->iteration_begun_us = 0;
    histogram_add(&metrics->loop, us);
    if (us > stalls->longest_us)
        stalls->longest_us = us;
    if (us > SLOW_US) {
        struct work work = work_since(&stalls->done, &now);
        note_stall(stalls, us, &work);
    }
    stalls->done = now;
}

/* --- Logging --- */

static bool is_due(struct stall *stall, int64_t now_us)
{
    if (stall->count == 0 || (stall->logged_us != 0 && now_us - stall->logged_us < LOG_EVERY_US))
        return false;
    stall->logged_us = now_us;
    return true;
}

static void log_slow(struct stalls *stalls)
{
    char message[240];
    const struct stall *slow = &stalls->slow;
    snprintf(message, sizeof message,
             "%" PRIu64 " turns of the loop took longer than %d ms, the longest %" PRId64
             " ms: %" PRIu64 " messages read, %" PRIu64 " frames sent, %" PRIu64 " joins, %" PRIu64
             " leaves",
             slow->count, SLOW_US / 1000, slow->longest_us / 1000, slow->work.messages_in,
             slow->work.messages_out, slow->work.joins, slow->work.leaves);
    log_write(stalls->log,
              &(struct log_line){.level = LOG_LEVEL_WARN, .kind = "slow", .message = message});
}

static void log_frozen(struct stalls *stalls)
{
    char message[240];
    char more[64] = "";
    const struct stall *frozen = &stalls->frozen;
    if (frozen->count > 1)
        snprintf(more, sizeof more, ", the longest of %" PRIu64 " times", frozen->count);
    snprintf(message, sizeof message,
             "this process did not run for %" PRId64
             " ms at least%s: it was stopped, or its host stood still",
             frozen->longest_us / 1000, more);
    log_write(stalls->log,
              &(struct log_line){.level = LOG_LEVEL_WARN, .kind = "frozen", .message = message});
}

static void log_stalls(struct stalls *stalls, int64_t now_us)
{
    if (is_due(&stalls->slow, now_us)) {
        log_slow(stalls);
        stalls->slow = (struct stall){.logged_us = now_us};
    }
    if (is_due(&stalls->frozen, now_us)) {
        log_frozen(stalls);
        stalls->frozen = (struct stall){.logged_us = now_us};
    }
}

/* An iteration that took long is counted already, and makes the tick late as well. The present one
 * counts as far as it has come. */
static int64_t find_late_us(const struct stalls *stalls, int64_t now_us)
{
    int64_t iteration_us =
        stalls->metrics->iteration_begun_us == 0 ? 0 : now_us - stalls->metrics->iteration_begun_us;
    int64_t longest_us = stalls->longest_us > iteration_us ? stalls->longest_us : iteration_us;
    return now_us - stalls->ticked_us - TICK_US - longest_us;
}

void stalls_tick(struct stalls *stalls)
{
    static const struct work nothing = {0};
    int64_t now_us = clock_monotonic_us();
    if (stalls->ticked_us != 0 && find_late_us(stalls, now_us) >= FROZEN_US)
        note_stall(stalls, find_late_us(stalls, now_us), &nothing);
    stalls->ticked_us = now_us;
    stalls->ticked_cpu_us = clock_process_cpu_us();
    stalls->longest_us = 0;
    log_stalls(stalls, now_us);
}
