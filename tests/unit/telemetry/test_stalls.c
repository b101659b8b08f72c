/* stalls: what is too much to do, and what was no time to do anything. The clocks are the test's.
 */
#include "base/clock.h"
#include "telemetry/stalls.h"
#include "unit.h"

static int64_t now_us, cpu_us;
static char kind[32], message[512];
static int lines;

int64_t clock_monotonic_us(void)
{
    return now_us;
}

int64_t clock_process_cpu_us(void)
{
    return cpu_us;
}

void log_write(struct log *log, const struct log_line *line)
{
    (void)log;
    lines++;
    snprintf(kind, sizeof kind, "%s", line->kind);
    snprintf(message, sizeof message, "%s", line->message);
}

static struct metrics metrics;
static struct stalls *stalls;

static int set_up(void **state)
{
    (void)state;
    now_us = 5000000;
    cpu_us = 0;
    lines = 0;
    metrics = (struct metrics){0};
    stalls = stalls_new(&metrics, NULL);
    stalls_tick(stalls);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stalls_free(stalls);
    return 0;
}

/* An iteration that takes so long, and uses so much of the processor. */
static void iterate(int64_t us, int64_t used_us)
{
    metrics.iteration_begun_us = now_us;
    now_us += us;
    cpu_us += used_us;
    stalls_end_iteration(stalls);
}

static void tick_after(int64_t us)
{
    now_us += us;
    stalls_tick(stalls);
}

static void test_a_iteration_without_work_is_not_counted(void **state)
{
    (void)state;
    stalls_end_iteration(stalls);
    assert_int_equal(metrics.loop.count, 0);
    iterate(10, 10);
    assert_int_equal(metrics.loop.count, 1);
    assert_true(metrics.iteration_begun_us == 0);
}

static void test_a_slow_iteration_is_told_with_what_it_did(void **state)
{
    (void)state;
    metrics.messages_out = 7;
    iterate(10, 10);
    metrics.messages_out += 5000;
    metrics.messages_in += 3;
    iterate(800000, 700000);
    tick_after(200000);
    assert_int_equal(metrics.slow_iterations, 1);
    assert_int_equal(metrics.frozen, 0);
    assert_int_equal(lines, 1);
    assert_string_equal(kind, "slow");
    assert_non_null(strstr(message, "the longest 800 ms: 3 messages read, 5000 frames sent,"));
}

static void test_slow_iterations_are_logged_once_a_minute_with_the_longest(void **state)
{
    (void)state;
    iterate(300000, 300000);
    tick_after(700000);
    assert_int_equal(lines, 1);
    iterate(900000, 900000);
    iterate(400000, 400000);
    for (int i = 0; i < 58; i++)
        tick_after(1000000);
    assert_int_equal(lines, 1);
    tick_after(1000000);
    assert_int_equal(lines, 2);
    assert_non_null(
        strstr(message, "2 turns of the loop took longer than 250 ms, the longest 900 ms"));
    for (int i = 0; i < 100; i++)
        tick_after(1000000);
    assert_int_equal(lines, 2);
}

static void test_who_did_not_run_while_it_waited_was_frozen(void **state)
{
    (void)state;
    tick_after(5000000);
    assert_int_equal(metrics.frozen, 1);
    assert_int_equal(metrics.frozen_ms, 4000);
    assert_int_equal(metrics.slow_iterations, 0);
    assert_string_equal(kind, "frozen");
    assert_non_null(strstr(message, "did not run for 4000 ms at least:"));
}

static void test_who_did_not_run_in_the_middle_of_a_iteration_was_frozen_once(void **state)
{
    (void)state;
    iterate(5000000, 1000);
    tick_after(0);
    assert_int_equal(metrics.frozen, 1);
    assert_int_equal(metrics.frozen_ms, 5000);
    assert_int_equal(metrics.slow_iterations, 0);
}

static void test_a_tick_that_a_slow_iteration_made_late_is_no_freeze(void **state)
{
    (void)state;
    iterate(4000000, 4000000);
    tick_after(0);
    assert_int_equal(metrics.frozen, 0);
    assert_int_equal(metrics.slow_iterations, 1);
}

static void test_a_tick_late_in_a_iteration_under_way_is_no_freeze(void **state)
{
    (void)state;
    now_us += 900000;
    metrics.iteration_begun_us = now_us;
    cpu_us += 3000000;
    tick_after(3000000);
    assert_int_equal(metrics.frozen, 0);
    stalls_end_iteration(stalls);
}

static void test_a_tick_a_little_late_is_nothing(void **state)
{
    (void)state;
    tick_after(1400000);
    assert_int_equal(lines, 0);
    assert_int_equal(metrics.frozen, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_iteration_without_work_is_not_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_slow_iteration_is_told_with_what_it_did, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_slow_iterations_are_logged_once_a_minute_with_the_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_did_not_run_while_it_waited_was_frozen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_who_did_not_run_in_the_middle_of_a_iteration_was_frozen_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_tick_that_a_slow_iteration_made_late_is_no_freeze,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_tick_late_in_a_iteration_under_way_is_no_freeze,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_tick_a_little_late_is_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
