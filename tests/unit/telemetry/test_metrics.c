#include "unit.h"

#include "base/clock.h"
#include "telemetry/metrics.h"

static void test_words_are_bounded(void **state)
{
    static char words[METRICS_WORDS * 2][16];
    struct metrics_by_word counter = {0};
    (void)state;
    for (int i = 0; i < METRICS_WORDS * 2; i++) {
        snprintf(words[i], sizeof words[i], "w%d", i);
        metrics_count_word(&counter, words[i]);
        metrics_count_word(&counter, words[i]);
    }
    assert_string_equal(counter.words[0], "w0");
    assert_int_equal(counter.counts[0], 2);
    assert_string_equal(counter.words[METRICS_WORDS - 1], "other");
    assert_int_equal(counter.counts[METRICS_WORDS - 1], 2 * (METRICS_WORDS + 1));
}

static void test_close_words(void **state)
{
    (void)state;
    assert_string_equal(metrics_close_word(4408), "4408");
    assert_string_equal(metrics_close_word(3123), "other");
}

static void test_lag_buckets_are_cumulative(void **state)
{
    struct metrics metrics = {0};
    struct metrics_moment moment = {.gateway = "g", .version = "v"};
    struct text out = TEXT_EMPTY;
    (void)state;
    metrics_add_lag(&metrics, 50);
    metrics_add_lag(&metrics, 400);
    metrics_add_lag(&metrics, 99000000);
    metrics_render_prometheus(&metrics, &moment, &out);
    assert_non_null(strstr(out.data, "yukizuri_probe_lag_seconds_bucket{le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(out.data, "yukizuri_probe_lag_seconds_bucket{le=\"0.0005\"} 2\n"));
    assert_non_null(strstr(out.data, "yukizuri_probe_lag_seconds_bucket{le=\"5\"} 2\n"));
    assert_non_null(strstr(out.data, "yukizuri_probe_lag_seconds_bucket{le=\"+Inf\"} 3\n"));
    text_clear(&out);
    metrics_render_json(&metrics, &moment, &out);
    assert_non_null(strstr(out.data, "\"probe_lag\":{\"count\":3,\"last_seconds\":99.000000,"));
    assert_non_null(strstr(out.data, ",\"p99_seconds\":10.000000}"));
    assert_non_null(strstr(out.data, ",\"loop\":{\"count\":0,\"sum_seconds\":0.000000,"));
    text_done(&out);
}

static void test_an_iteration_begins_once(void **state)
{
    struct metrics metrics = {0};
    (void)state;
    metrics_begin_iteration(&metrics);
    int64_t begun_us = metrics.iteration_begun_us;
    assert_true(begun_us > 0);
    while (clock_monotonic_us() == begun_us)
        ;
    metrics_begin_iteration(&metrics);
    assert_true(metrics.iteration_begun_us == begun_us);
}

static void test_what_is_not_known_is_left_out(void **state)
{
    struct metrics metrics = {.redis_writes_to_disk = METRICS_UNKNOWN, .redis_evicts = 1};
    struct metrics_moment moment = {.gateway = "g", .version = "v"};
    struct text out = TEXT_EMPTY;
    (void)state;
    metrics_render_prometheus(&metrics, &moment, &out);
    assert_null(strstr(out.data, "redis_writes_to_disk"));
    assert_non_null(strstr(out.data, "\nyukizuri_redis_evicts 1\n"));
    text_clear(&out);
    metrics_render_json(&metrics, &moment, &out);
    assert_null(strstr(out.data, "redis_writes_to_disk"));
    assert_non_null(strstr(out.data, ",\"redis_evicts\":1,"));
    text_done(&out);
}

/* So that a dashboard for any program shows this one. */
static void test_the_process_has_the_names_that_prometheus_gives(void **state)
{
    struct metrics metrics = {
        .descriptors = 12, .max_descriptors = 1024, .started_at_ms = 1700000000123};
    struct metrics_moment moment = {
        .gateway = "g", .version = "v", .cpu_us = 1234567, .resident_bytes = 123456789};
    static const char *const lines[] = {
        "process_cpu_seconds_total 1.234567",
        "process_resident_memory_bytes 123456789",
        "process_open_fds 12",
        "process_max_fds 1024",
        "process_start_time_seconds 1700000000.123",
        "yukizuri_cpu_seconds_total 1.234567",
        "yukizuri_resident_memory_bytes 123456789",
        "yukizuri_start_time_seconds 1700000000.123",
        "yukizuri_frozen_seconds_total 0",
    };
    struct text out = TEXT_EMPTY;
    (void)state;
    metrics_render_prometheus(&metrics, &moment, &out);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[80];
        snprintf(line, sizeof line, "\n%s\n", lines[i]);
        assert_non_null(strstr(out.data, line));
    }
    text_done(&out);
}

/* Nothing is invented for what only Go has. */
static void test_agents_find_the_names_of_golang_stats_api_handler(void **state)
{
    struct metrics metrics = {0};
    struct metrics_moment moment = {.gateway = "g", .version = "v", .now_ms = 1700000000123};
    struct text out = TEXT_EMPTY;
    (void)state;
    metrics_render_json(&metrics, &moment, &out);
    assert_non_null(strstr(out.data, ",\"time\":1700000000123000000,\"cpu_num\":"));
    assert_null(strstr(out.data, "heap_"));
    assert_null(strstr(out.data, "goroutine"));
    assert_null(strstr(out.data, "gc_"));
    text_done(&out);
    moment.has_memory = true;
    moment.memory = (struct memory_figures){.allocated = 1000,
                                            .active = 4096,
                                            .mapped = 10000,
                                            .retained = 5,
                                            .allocations = 9,
                                            .frees = 7};
    metrics_render_json(&metrics, &moment, &out);
    assert_non_null(strstr(out.data, ",\"memory_alloc\":1000,\"memory_sys\":10000,"
                                     "\"memory_mallocs\":9,\"memory_frees\":7,"
                                     "\"heap_alloc\":1000,\"heap_sys\":10000,"
                                     "\"heap_idle\":5904,\"heap_inuse\":4096,"
                                     "\"heap_released\":5,\"heap_objects\":2}\n"));
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_bounded),
        cmocka_unit_test(test_close_words),
        cmocka_unit_test(test_the_process_has_the_names_that_prometheus_gives),
        cmocka_unit_test(test_lag_buckets_are_cumulative),
        cmocka_unit_test(test_an_iteration_begins_once),
        cmocka_unit_test(test_what_is_not_known_is_left_out),
        cmocka_unit_test(test_agents_find_the_names_of_golang_stats_api_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
