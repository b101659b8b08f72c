#include "unit.h"

#include "log_file.h"

#include "base/clock.h"
#include "telemetry/refusals.h"

enum { MINUTE_MS = 60000 };

static void test_each_limit_is_logged_at_once_and_then_once_a_minute(void **state)
{
    struct metrics metrics = {0};
    struct log *log = log_file_open();
    struct refusals *refusals = refusals_new(&metrics, log);
    int64_t now_ms = clock_monotonic_ms();
    (void)state;
    for (int i = 0; i < 1000; i++)
        refusals_note(refusals, REFUSAL_RATE, NULL);
    refusals_note(refusals, REFUSAL_MAX_CONNECTIONS_PER_ADDRESS, "192.0.2.1");
    refusals_tick(refusals, now_ms + 1000); /* not yet */
    refusals_tick(refusals, now_ms + MINUTE_MS + 1000);
    refusals_tick(refusals, now_ms + MINUTE_MS + 2000); /* nothing came */
    refusals_note(refusals, REFUSAL_RATE, NULL);
    refusals_tick(refusals, now_ms + 2 * MINUTE_MS + 2000);
    refusals_tick(refusals, now_ms + 3 * MINUTE_MS + 3000);
    refusals_note(refusals, REFUSAL_RATE, NULL); /* after a minute without any: at once */
    refusals_free(refusals);
    log_close(log);
    assert_int_equal(log_file_count("\tkind:limit\t"), 5);
    assert_int_equal(log_file_count("\tlimit:rate\tcount:1\n"), 3);
    assert_int_equal(log_file_count("\tlimit:rate\tcount:999\n"), 1);
    assert_int_equal(log_file_count("\tremote_addr:192.0.2.1\t"), 1);
    log_file_remove();
    assert_int_equal(metrics.refused.counts[REFUSAL_RATE], 1002);
}

static void test_all_reasons_are_counted_from_the_beginning(void **state)
{
    struct metrics metrics = {0};
    struct metrics_moment moment = {.gateway = "g", .version = "v"};
    struct text out = TEXT_EMPTY;
    struct refusals *refusals = refusals_new(&metrics, NULL);
    (void)state;
    refusals_note(refusals, REFUSAL_BACKLOG, NULL);
    refusals_note(NULL, REFUSAL_BACKLOG, NULL);
    metrics_render_prometheus(&metrics, &moment, &out);
    assert_non_null(strstr(out.data, "\nyukizuri_refused_total{reason=\"backlog\"} 1\n"));
    assert_non_null(strstr(out.data, "\nyukizuri_refused_total{reason=\"join-time\"} 0\n"));
    text_clear(&out);
    metrics_render_json(&metrics, &moment, &out);
    assert_non_null(strstr(out.data, ",\"refused\":{\"max-connections\":0,"));
    assert_non_null(strstr(out.data, ",\"backlog\":1,"));
    text_done(&out);
    refusals_free(refusals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_limit_is_logged_at_once_and_then_once_a_minute),
        cmocka_unit_test(test_all_reasons_are_counted_from_the_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
