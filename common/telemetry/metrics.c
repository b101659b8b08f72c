#include "telemetry/metrics.h"

#include "base/clock.h"
#include "base/cores.h"
#include "protocol/message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name; /* without the prefix; JSON uses it without "_total" */
    const char *help;
    size_t offset;
    bool gauge;
};

#define AT(field) offsetof(struct metrics, field)

static const struct row rows[] = {
    {"connections", "Open WebSocket connections.", AT(connections), true},
    {"members", "Joined members of this gateway.", AT(members), true},
    {"ghosts", "Detached sessions: members whose connection is lost, within their grace period.",
     AT(detached), true},
    {"rooms", "Rooms open on this gateway.", AT(rooms), true},
    {"unsent_bytes", "Memory of unsent bytes that are for one member each.", AT(unsent), true},
    {"ready", "1 while members can join and talk, as /readyz reports.", AT(ready), true},
    {"draining", "1 while this gateway drains.", AT(draining), true},
    {"pressure", "How hard it is to come in, from 0 to 3.", AT(pressure), true},
    {"open_descriptors", "Files and sockets that this process has open.", AT(descriptors), true},
    {"max_descriptors", "Files and sockets that this process may have open.", AT(max_descriptors),
     true},
    {"max_connections", "WebSocket connections that this gateway accepts at the same time.",
     AT(max_connections), true},
    {"redis_refuses", "1 while Redis answers, but refuses the commands that members need.",
     AT(redis_refuses), true},
    {"redis_up", "1 while both Redis connections are ready.", AT(redis_up), true},
    {"redis_nodes", "Nodes of the Redis Cluster that have slots; 0 without a cluster.",
     AT(redis_nodes), true},
    {"redis_writes_to_disk", "1 if Redis writes messages to disk; absent while unknown.",
     AT(redis_writes_to_disk), true},
    {"redis_evicts", "1 if Redis may evict keys at its memory limit; absent while unknown.",
     AT(redis_evicts), true},
    {"sentinels_up", "Redis Sentinels that answered the last question.", AT(sentinels_up), true},
    {"handshakes_total", "Accepted WebSocket handshakes.", AT(handshakes), false},
    {"http_requests_total", "HTTP requests answered.", AT(http_requests), false},
    {"messages_in_total", "Messages received from members.", AT(messages_in), false},
    {"messages_out_total", "Frames delivered to members.", AT(messages_out), false},
    {"bytes_in_total", "Bytes received over WebSocket.", AT(bytes_in), false},
    {"bytes_out_total", "Bytes sent over WebSocket.", AT(bytes_out), false},
    {"deflated_frames_total", "Frames compressed, each once for all members that get it.",
     AT(deflated_frames), false},
    {"inflated_messages_total", "Compressed messages received.", AT(inflated_messages), false},
    {"says_total", "Accepted say messages.", AT(says), false},
    {"joins_total", "Joins.", AT(joins), false},
    {"resumes_total", "Resumes: joins that restored a member by its token.", AT(resumes), false},
    {"leaves_total", "Leaves.", AT(leaves), false},
    {"gaps_total", "Gaps reported to members.", AT(gaps), false},
    {"pings_total", "Pings sent to idle connections.", AT(pings), false},
    {"slow_readers_total", "Connections closed because they read too slowly.", AT(slow_closed),
     false},
    {"redis_lost_total", "Lost Redis connections.", AT(redis_lost), false},
    {"redis_moves_total", "Times that the Sentinels named another Redis as the master.",
     AT(redis_moves), false},
    {"redis_commands_total", "Commands sent to Redis.", AT(redis_commands), false},
    {"redis_redirections_total",
     "Commands that a node of a Redis Cluster sent elsewhere or put off; they were sent again.",
     AT(redis_redirections), false},
    {"redis_timeouts_total", "Commands to Redis that got no reply in time.", AT(redis_timeouts),
     false},
    {"replica_waits_total", "Times that messages waited for a replica's confirmation (durability).",
     AT(replica_waits), false},
    {"replica_waits_failed_total", "Those of them for which no replica confirmed in time.",
     AT(replica_waits_failed), false},
    {"stream_reads_total", "Reads of stored events from Redis.", AT(stream_reads), false},
    {"slow_turns_total", "Iterations of the event loop that took longer than 250 ms.",
     AT(slow_iterations), false},
    {"frozen_total", "Times that this process did not run: it was stopped, or its host was paused.",
     AT(frozen), false},
    {"log_dropped_total", "Log lines that were dropped because the log was blocked.",
     AT(log_dropped), false},
};

enum { ROWS = sizeof rows / sizeof *rows };

/* A histogram has the name with "_seconds" in both spellings. */
static const struct {
    const char *name;
    const char *help;
    size_t offset;
} histograms[] = {
    {"probe_lag", "Round-trip time of the health probe through Redis.", AT(probe_lag)},
    {"say_to_shown",
     "Time from the arrival of a message to its transmission to all members on this gateway.",
     AT(say_to_shown)},
    {"replica_wait", "Time of one wait for a replica's confirmation.", AT(replica_wait)},
    {"flush", "Time of one flush, which sends a batch of frames to members.", AT(flush)},
    {"loop", "Time of one iteration of the event loop, without waiting.", AT(loop)},
};

enum { HISTOGRAMS = sizeof histograms / sizeof *histograms };

/* Counters by a word have a label; in JSON they are objects, without "_total". */
static const struct {
    const char *name;
    const char *help;
    const char *label;
    size_t offset;
} by_word[] = {
    {"errors_total", "Errors sent to members.", "code", AT(errors)},
    {"closes_total", "Closed connections by close code.", "code", AT(closes)},
    {"dropped_events_total", "Foreign publications that were dropped.", "kind", AT(dropped_events)},
    {"redis_errors_total", "Error replies of Redis by their first word.", "code", AT(redis_errors)},
    {"refused_total", "Refusals by the name of the limit.", "reason", AT(refused)},
    {"moderation_total", "Commands of operators that this gateway carried out.", "do",
     AT(moderation)},
    {"lost_total", "Ended connections by reason, each with a line of the log.", "reason", AT(lost)},
};

enum { BY_WORD = sizeof by_word / sizeof *by_word };

static const void *field_at(const struct metrics *metrics, size_t offset)
{
    return (const char *)metrics + offset;
}

/* Of a name in JSON. */
static int len_without_total(const char *name)
{
    const char *suffix = strstr(name, "_total");
    return (int)(suffix == NULL ? strlen(name) : (size_t)(suffix - name));
}

void metrics_count_word(struct metrics_by_word *counter, const char *word)
{
    for (size_t i = 0; i < METRICS_WORDS; i++) {
        if (counter->words[i] == NULL)
            counter->words[i] = i == METRICS_WORDS - 1 ? "other" : word;
        if (strcmp(counter->words[i], word) == 0 || i == METRICS_WORDS - 1) {
            counter->counts[i]++;
            return;
        }
    }
}

const char *metrics_close_word(unsigned code)
{
    static const char *const words[] = {"1000", "1001", "1002", "1003", "1005", "1006",
                                        "1007", "1009", "1011", "1012", "1013", "4400",
                                        "4408", "4409", "4429", "4503"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strtoul(words[i], NULL, 10) == code)
            return words[i];
    return "other";
}

void metrics_begin_iteration(struct metrics *metrics)
{
    if (metrics->iteration_begun_us == 0)
        metrics->iteration_begun_us = clock_monotonic_us();
}

void metrics_add_lag(struct metrics *metrics, int64_t lag_us)
{
    histogram_add(&metrics->probe_lag, lag_us);
    metrics->lag_last_us = (uint64_t)lag_us;
}

static uint64_t value_of(const struct metrics *metrics, const struct row *row)
{
    return *(const uint64_t *)field_at(metrics, row->offset);
}

/* --- Prometheus text format 0.0.4 --- */

static void add_head(struct text *out, const char *name, const char *help, const char *type)
{
    text_print(out, "# HELP yukizuri_%s %s\n# TYPE yukizuri_%s %s\n", name, help, name, type);
}

static void add_by_word(struct text *out, const struct metrics *metrics, size_t index)
{
    const struct metrics_by_word *counter = field_at(metrics, by_word[index].offset);
    const char *name = by_word[index].name;
    add_head(out, name, by_word[index].help, "counter");
    for (size_t i = 0; i < METRICS_WORDS && counter->words[i] != NULL; i++)
        text_print(out, "yukizuri_%s{%s=\"%s\"} %" PRIu64 "\n", name, by_word[index].label,
                   counter->words[i], counter->counts[i]);
}

static void add_histogram(struct text *out, const struct metrics *metrics, size_t index)
{
    const struct histogram *histogram = field_at(metrics, histograms[index].offset);
    const char *name = histograms[index].name;
    uint64_t sum = 0;
    text_print(out, "# HELP yukizuri_%s_seconds %s\n# TYPE yukizuri_%s_seconds histogram\n", name,
               histograms[index].help, name);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum += histogram->counts[i];
        text_print(out, "yukizuri_%s_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                   (double)histogram_bound_us(i) / 1e6, sum);
    }
    text_print(out, "yukizuri_%s_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", name,
               histogram->count);
    text_print(out, "yukizuri_%s_seconds_sum %.6f\n", name, (double)histogram->sum_us / 1e6);
    text_print(out, "yukizuri_%s_seconds_count %" PRIu64 "\n", name, histogram->count);
}

static void add_rooms(struct text *out, const struct metrics_moment *moment)
{
    add_head(out, "room_members", "Joined members of this gateway, by room (the biggest rooms).",
             "gauge");
    for (size_t i = 0; i < moment->room_count; i++)
        text_print(out, "yukizuri_room_members{room=\"%s\"} %" PRIu64 "\n", moment->rooms[i].name,
                   moment->rooms[i].members);
}

static void add_figure(struct text *out, const char *name, const char *type, double value,
                       const char *help)
{
    text_print(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void add_figures(struct text *out, const struct metrics *metrics,
                        const struct metrics_moment *moment)
{
    add_figure(out, "yukizuri_frozen_seconds_total", "counter", (double)metrics->frozen_ms / 1e3,
               "Total time for which this process did not run.");
    add_figure(out, "yukizuri_cpu_seconds_total", "counter", (double)moment->cpu_us / 1e6,
               "CPU time of this process.");
    add_figure(out, "yukizuri_resident_memory_bytes", "gauge", (double)moment->resident_bytes,
               "Resident memory of this process.");
    add_figure(out, "yukizuri_start_time_seconds", "gauge", (double)metrics->started_at_ms / 1e3,
               "Start of this gateway, in seconds since 1970.");
}

/* By the names that Prometheus' own libraries give to what every process has. */
static void add_process(struct text *out, const struct metrics *metrics,
                        const struct metrics_moment *moment)
{
    add_figure(out, "process_cpu_seconds_total", "counter", (double)moment->cpu_us / 1e6,
               "Total user and system CPU time spent in seconds.");
    add_figure(out, "process_resident_memory_bytes", "gauge", (double)moment->resident_bytes,
               "Resident memory size in bytes.");
    add_figure(out, "process_open_fds", "gauge", (double)metrics->descriptors,
               "Number of open file descriptors.");
    add_figure(out, "process_max_fds", "gauge", (double)metrics->max_descriptors,
               "Maximum number of open file descriptors.");
    add_figure(out, "process_start_time_seconds", "gauge", (double)metrics->started_at_ms / 1e3,
               "Start time of the process since unix epoch in seconds.");
}

void metrics_render_prometheus(const struct metrics *metrics, const struct metrics_moment *moment,
                               struct text *out)
{
    add_head(out, "build_info", "Version and name of this gateway.", "gauge");
    text_print(out, "yukizuri_build_info{version=\"%s\",gateway=\"%s\"} 1\n", moment->version,
               moment->gateway);
    for (size_t i = 0; i < ROWS; i++) {
        if (value_of(metrics, &rows[i]) == METRICS_UNKNOWN)
            continue;
        add_head(out, rows[i].name, rows[i].help, rows[i].gauge ? "gauge" : "counter");
        text_print(out, "yukizuri_%s %" PRIu64 "\n", rows[i].name, value_of(metrics, &rows[i]));
    }
    for (size_t i = 0; i < BY_WORD; i++)
        add_by_word(out, metrics, i);
    for (size_t i = 0; i < HISTOGRAMS; i++)
        add_histogram(out, metrics, i);
    add_rooms(out, moment);
    add_figures(out, metrics, moment);
    add_process(out, metrics, moment);
}

/* --- JSON: numbers only, nested --- */

static void add_json_words(struct text *out, const struct metrics *metrics, size_t index)
{
    const struct metrics_by_word *counter = field_at(metrics, by_word[index].offset);
    text_print(out, ",\"%.*s\":{", len_without_total(by_word[index].name), by_word[index].name);
    for (size_t i = 0; i < METRICS_WORDS && counter->words[i] != NULL; i++)
        text_print(out, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", counter->words[i],
                   counter->counts[i]);
    text_add_string(out, "}");
}

static void add_json_histogram(struct text *out, const struct metrics *metrics, size_t index)
{
    const struct histogram *histogram = field_at(metrics, histograms[index].offset);
    text_print(out, ",\"%s\":{\"count\":%" PRIu64, histograms[index].name, histogram->count);
    if (histogram == &metrics->probe_lag)
        text_print(out, ",\"last_seconds\":%.6f", (double)metrics->lag_last_us / 1e6);
    text_print(out, ",\"sum_seconds\":%.6f,\"p50_seconds\":%.6f,\"p99_seconds\":%.6f}",
               (double)histogram->sum_us / 1e6, histogram_quantile_us(histogram, 0.5) / 1e6,
               histogram_quantile_us(histogram, 0.99) / 1e6);
}

static void add_json_rooms(struct text *out, const struct metrics_moment *moment)
{
    text_add_string(out, ",\"room_members\":{");
    for (size_t i = 0; i < moment->room_count; i++) {
        text_add_string(out, i == 0 ? "" : ",");
        message_add_string(out, moment->rooms[i].name, strlen(moment->rooms[i].name));
        text_print(out, ":%" PRIu64, moment->rooms[i].members);
    }
    text_add_string(out, "}");
}

/* Under the names of golang-stats-api-handler, which monitoring agents read
 * (mackerel-plugin-gostats). What a program in C does not have, such as goroutines and a garbage
 * collector, is left out. */
static void add_json_go(struct text *out, const struct metrics_moment *moment)
{
    const struct memory_figures *memory = &moment->memory;
    text_print(out, ",\"time\":%" PRId64 ",\"cpu_num\":%ld", moment->now_ms * 1000000,
               cores_allowed());
    if (!moment->has_memory)
        return;
    const struct {
        const char *name;
        size_t value;
    } figures[] = {
        {"memory_alloc", memory->allocated},
        {"memory_sys", memory->mapped},
        {"memory_mallocs", memory->allocations},
        {"memory_frees", memory->frees},
        {"heap_alloc", memory->allocated},
        {"heap_sys", memory->mapped},
        {"heap_idle", memory->mapped - memory->active},
        {"heap_inuse", memory->active},
        {"heap_released", memory->retained},
        {"heap_objects", memory->allocations - memory->frees},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        text_print(out, ",\"%s\":%zu", figures[i].name, figures[i].value);
}

void metrics_render_json(const struct metrics *metrics, const struct metrics_moment *moment,
                         struct text *out)
{
    text_add_string(out, "{");
    for (size_t i = 0; i < ROWS; i++) {
        if (value_of(metrics, &rows[i]) == METRICS_UNKNOWN)
            continue;
        text_print(out, "%s\"%.*s\":%" PRIu64, i == 0 ? "" : ",", len_without_total(rows[i].name),
                   rows[i].name, value_of(metrics, &rows[i]));
    }
    for (size_t i = 0; i < BY_WORD; i++)
        add_json_words(out, metrics, i);
    for (size_t i = 0; i < HISTOGRAMS; i++)
        add_json_histogram(out, metrics, i);
    text_print(out, ",\"frozen_seconds\":%.3f", (double)metrics->frozen_ms / 1e3);
    add_json_rooms(out, moment);
    text_add_string(out, ",\"gateways\":");
    sightings_render(&metrics->gateways, clock_monotonic_ms(), out);
    text_print(out, ",\"cpu_seconds\":%.6f,\"resident_memory_bytes\":%" PRIu64,
               (double)moment->cpu_us / 1e6, moment->resident_bytes);
    text_print(out, ",\"uptime_seconds\":%.3f",
               (double)(moment->now_ms - metrics->started_at_ms) / 1e3);
    add_json_go(out, moment);
    text_add_string(out, "}\n");
}
