/* error_log: every error reply of Redis is counted and logged here, whoever sent the command:
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

struct error_log;

/* Which texts were logged already; all zeroes is none. */
enum { ERROR_LOG_SEEN_MOST = 4 };
struct error_log_seen {
    uint64_t hashes[ERROR_LOG_SEEN_MOST];
    size_t count;
};

/* Is this text to be logged? Notes it. False when it was, and after ERROR_LOG_SEEN_MOST. Of two
 * with one hash the second is not. */
bool error_log_is_new(struct error_log_seen *seen, const char *text);

/* Both must outlive it. */
struct error_log *error_log_new(struct metrics *metrics, struct log *log);

/* NULL is fine. */
void error_log_free(struct error_log *errors);

/* One has come. What is expected (REDIS_EXPECTED) is counted and not logged. */
void error_log_note(struct error_log *errors, const struct redis_error *error);

/* To be called about once a second (monotonic, in ms): what is only counted is logged once a
 * minute; after a minute without any the next one is logged with its own words again. */
void error_log_tick(struct error_log *errors, int64_t now_ms);

/* A key that somebody has broken by hand was mended: logs one line that names it, unless *logged;
 * sets *logged. `log` may be NULL. */
void error_log_repair(struct log *log, const char *key, bool *logged);

#endif
