/* redis_faults: every error reply of Redis is counted and logged here, whoever sent the command:
 * the first of each kind with Redis' own words, then once a minute how many more there were.
 * Decides nothing. */
#ifndef YUKIZURI_REDIS_ERROR_LOG_H
#define YUKIZURI_REDIS_ERROR_LOG_H

#include "redis/error.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_faults;

/* What the log was told already; all zeroes is nothing. */
enum { REDIS_TOLD_MOST = 4 };
struct redis_told {
    uint64_t texts[REDIS_TOLD_MOST];
    size_t count;
};

/* Is this text to be told? Not when it was, nor after REDIS_TOLD_MOST. Two that are taken for one
 * are told once, no more. */
bool redis_told_add(struct redis_told *told, const char *text);

/* Both must outlive it. */
struct redis_faults *redis_faults_new(struct metrics *metrics, struct log *log);

/* NULL is fine. */
void redis_faults_free(struct redis_faults *faults);

/* One has come. What is expected (REDIS_OURS) is counted and not logged. */
void redis_faults_note(struct redis_faults *faults, const struct redis_error *error);

/* To be called about once a second (monotonic, in ms): what is only counted is told once a minute;
 * after a minute without any the next one is told with its own words again. */
void redis_faults_tick(struct redis_faults *faults, int64_t now_ms);

/* A key that somebody has broken by hand was mended: logs one line that names it, unless *told;
 * sets *told. `log` may be NULL. */
void repaired_log(struct log *log, const char *key, bool *told);

#endif
