#include "unit.h"

#include "base/remote_clock.h"

static void nothing_is_known_before_an_answer(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    assert_int_equal(remote_clock_at(&clock, 1000), 0);
    remote_clock_note(&clock, 0, 0, 0); /* a clock that shows as much as ours */
    assert_int_equal(remote_clock_at(&clock, 1000), 1000);
}

static void the_first_answer_is_taken_to_be_from_half_way(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    remote_clock_note(&clock, 1000, 1040, 6010);
    assert_int_equal(remote_clock_at(&clock, 2000), 6990);
}

/* The other clock is 5,000 ahead; answers are given after 10, 1, and 900 ms. */
static void a_quick_answer_is_believed_and_slow_ones_change_nothing(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    remote_clock_note(&clock, 1000, 1100, 6010);
    assert_int_equal(remote_clock_at(&clock, 2000), 6960);
    remote_clock_note(&clock, 2000, 2003, 7001);
    assert_int_equal(remote_clock_at(&clock, 2000), 6998);
    for (int64_t at = 3000; at < 600000; at += 1000)
        remote_clock_note(&clock, at, at + 990, at + 5900);
    assert_int_equal(remote_clock_at(&clock, 600000), 604998);
}

static void a_clock_that_was_set_is_believed_at_once(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    remote_clock_note(&clock, 1000, 1002, 6001);
    remote_clock_note(&clock, 2000, 2002, 602001); /* forward */
    assert_int_equal(remote_clock_at(&clock, 3000), 602999);
    remote_clock_note(&clock, 3000, 3002, 4001); /* back */
    assert_int_equal(remote_clock_at(&clock, 4000), 5001);
    remote_clock_note(&clock, 4000, 4002, 1); /* behind ours */
    assert_int_equal(remote_clock_at(&clock, 5000), 1001);
}

/* It goes faster than ours by half a thousandth, then slower; answers take 2 to 101 ms. */
static void clocks_that_drift_apart_are_followed(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    int64_t ahead_us = 5000000;
    for (int64_t at = 1000; at < 4000000; at += 1000) {
        int64_t takes_ms = 2 + at / 1000 * 37 % 100;
        ahead_us += at < 2000000 ? 500 : -500;
        remote_clock_note(&clock, at, at + takes_ms, at + takes_ms / 2 + ahead_us / 1000);
        int64_t wrong_ms = remote_clock_at(&clock, at) - (at + ahead_us / 1000);
        assert_true(wrong_ms > -60 && wrong_ms < 60);
    }
}

static void in_doubt_the_last_measurement_is_a_guess_until_the_next_one(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    assert_int_equal(remote_clock_guess(&clock, 5000), 0);
    remote_clock_note(&clock, 1000, 1002, 6001);
    remote_clock_doubt(&clock);
    assert_int_equal(remote_clock_at(&clock, 2000), 0);
    assert_int_equal(remote_clock_guess(&clock, 2000), 7000);
    remote_clock_note(&clock, 3000, 3200, 9100); /* slow, and all that is known of another one */
    assert_int_equal(remote_clock_at(&clock, 4000), 10000);
    assert_int_equal(remote_clock_guess(&clock, 4000), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_an_answer),
        cmocka_unit_test(the_first_answer_is_taken_to_be_from_half_way),
        cmocka_unit_test(a_quick_answer_is_believed_and_slow_ones_change_nothing),
        cmocka_unit_test(a_clock_that_was_set_is_believed_at_once),
        cmocka_unit_test(clocks_that_drift_apart_are_followed),
        cmocka_unit_test(in_doubt_the_last_measurement_is_a_guess_until_the_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
