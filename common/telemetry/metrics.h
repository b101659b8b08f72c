/* metrics: counters, gauges and histograms, and their two spellings: Prometheus text and JSON.
 * One struct of plain numbers that anybody may add to; this module only renders it. */
#ifndef YUKIZURI_TELEMETRY_METRICS_H
#define YUKIZURI_TELEMETRY_METRICS_H

#include "base/memory.h"
#include "base/text.h"
#include "telemetry/histogram.h"
#include "telemetry/sightings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a gauge that nobody can tell at the moment: it is left out of both spellings. */
#define METRICS_UNKNOWN UINT64_MAX

enum { METRICS_WORDS = 48 };

/* A counter by a word from a small fixed set; words beyond the bound are counted as "other". */
struct metrics_by_word {
    const char *words[METRICS_WORDS]; /* static strings */
    uint64_t counts[METRICS_WORDS];
};

struct metrics {
    uint64_t connections, members, detached, rooms, redis_up;       /* gauges */
    uint64_t redis_writes_to_disk, redis_evicts;                    /* 0, 1, or METRICS_UNKNOWN */
    uint64_t ready, draining, redis_refuses;                        /* 0 or 1 */
    uint64_t pressure;                                              /* 0 to 3 */
    uint64_t sentinels_up;                                          /* gauge */
    uint64_t descriptors, max_descriptors, max_connections, unsent; /* gauges */
    uint64_t handshakes, http_requests, messages_in, messages_out;  /* totals */
    uint64_t bytes_in, bytes_out, joins, resumes, leaves, gaps, says, pings;
    uint64_t deflated_frames, inflated_messages;
    uint64_t redis_nodes; /* of a cluster */
    uint64_t redis_redirections;
    uint64_t redis_lost, redis_moves, redis_commands, redis_timeouts, stream_reads;
    uint64_t slow_closed, log_dropped;
    struct metrics_by_word errors, closes, dropped_events, redis_errors, refused, lost, moderation;
    uint64_t replica_waits, replica_waits_failed;
    struct histogram probe_lag, say_to_shown, replica_wait, flush, loop;
    uint64_t lag_last_us; /* of the latest probe */
    uint64_t slow_iterations;
    uint64_t frozen;            /* times that this process did not run, */
    uint64_t frozen_ms;         /* and for how long, in all */
    int64_t iteration_begun_us; /* when the present one had something to do; 0: not yet */
    int64_t started_at_ms;
    struct sightings gateways; /* in JSON only */
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
    bool has_memory;
    struct memory_figures memory;
};

enum { METRICS_ROOMS = 100 };

/* Counts one; `word` must be a static string. */
void metrics_count_word(struct metrics_by_word *counter, const char *word);

/* The WebSocket close codes that are counted by themselves: a static string. */
const char *metrics_close_word(unsigned code);

/* The first thing that happens in an iteration of the loop begins it; the others do nothing. To be
 * called by whoever is called by the loop itself. stalls_end_iteration ends it. */
void metrics_begin_iteration(struct metrics *metrics);

void metrics_add_lag(struct metrics *metrics, int64_t lag_us);
void metrics_render_prometheus(const struct metrics *metrics, const struct metrics_moment *moment,
                               struct text *out);
void metrics_render_json(const struct metrics *metrics, const struct metrics_moment *moment,
                         struct text *out);

#endif
