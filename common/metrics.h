/* metrics: counters, gauges and one histogram, and their two spellings: Prometheus text and JSON.
 * One struct of plain numbers that anybody may add to; this module only renders it. */
#ifndef YUKIZURI_METRICS_H
#define YUKIZURI_METRICS_H

#include "text.h"

#include <stddef.h>
#include <stdint.h>

/* The value of a gauge that is not known at the moment: it is left out of both spellings. */
#define METRICS_UNKNOWN UINT64_MAX

enum { METRICS_WORDS = 24, METRICS_LAG_BUCKETS = 10 };

/* A counter by a word from a small fixed set; words beyond the bound are counted as "other". */
struct metrics_by_word {
    const char *words[METRICS_WORDS]; /* static strings */
    uint64_t counts[METRICS_WORDS];
};

struct metrics {
    uint64_t connections, members, ghosts, rooms, redis_up;        /* gauges */
    uint64_t redis_writes_to_disk, redis_evicts;                   /* 0, 1, or METRICS_UNKNOWN */
    uint64_t handshakes, http_requests, messages_in, messages_out; /* totals */
    uint64_t bytes_in, bytes_out, joins, resumes, leaves, gaps, says, pings;
    uint64_t redis_lost, redis_commands, redis_timeouts, stream_reads, slow_closed, log_dropped;
    struct metrics_by_word errors, closes, dropped_events, redis_errors, refused, lost;
    uint64_t lag_buckets[METRICS_LAG_BUCKETS], lag_count, lag_sum_us, lag_last_us; /* probe */
    int64_t started_at_ms;
};

/* A room's line in the output. */
struct metrics_room {
    const char *name;
    uint64_t members; /* of this gateway */
};

/* What is measured elsewhere at the moment of asking. */
struct metrics_moment {
    const char *gateway, *version;
    int64_t cpu_us, now_ms;
    uint64_t resident_bytes;
    const struct metrics_room *rooms; /* the biggest ones, at most METRICS_ROOMS */
    size_t room_count;
};

enum { METRICS_ROOMS = 100 };

/* Counts one; `word` must be a static string. */
void metrics_count_word(struct metrics_by_word *counter, const char *word);

/* The WebSocket close codes that are counted by themselves: a static string. */
const char *metrics_close_word(unsigned code);

void metrics_add_lag(struct metrics *metrics, int64_t lag_us);
void metrics_render_prometheus(const struct metrics *metrics, const struct metrics_moment *moment,
                               struct text *out);
void metrics_render_json(const struct metrics *metrics, const struct metrics_moment *moment,
                         struct text *out);

#endif
