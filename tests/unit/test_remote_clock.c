#include "unit.h"

#include "remote_clock.h"

/* The other clock is 5,000 ahead; answers come 40, 3 and 200 ms after they were given. */
static void the_quickest_answer_is_believed(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    assert_int_equal(remote_clock_at(&clock, 1000), 0);
    remote_clock_note(&clock, 1040, 6000);
    assert_int_equal(remote_clock_at(&clock, 2000), 6960);
    remote_clock_note(&clock, 2003, 7000);
    assert_int_equal(remote_clock_at(&clock, 2000), 6997);
    remote_clock_note(&clock, 3200, 8000);
    assert_int_equal(remote_clock_at(&clock, 3200), 8197);
    for (int64_t at = 3200; at < 1200000; at += 100) /* never ahead of it */
        assert_true(remote_clock_at(&clock, at) <= at + 5000);
}

static void a_clock_that_was_set_back_is_believed_after_two_periods(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    remote_clock_note(&clock, 1000, 600000);
    for (int64_t at = 2000; at <= 610000; at += 1000)
        remote_clock_note(&clock, at, at + 1000);
    assert_int_equal(remote_clock_at(&clock, 610000), 611000);
}

static void a_clock_that_was_set_forward_is_believed_at_once(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    remote_clock_note(&clock, 1000, 2000);
    remote_clock_note(&clock, 2000, 603000);
    assert_int_equal(remote_clock_at(&clock, 2000), 603000);
}

static void what_is_older_than_two_periods_is_forgotten(void **state)
{
    (void)state;
    struct remote_clock clock = {0};
    remote_clock_note(&clock, 1000, 6000000);
    remote_clock_note(&clock, 1000000, 1001000);
    assert_int_equal(remote_clock_at(&clock, 1000000), 1001000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quickest_answer_is_believed),
        cmocka_unit_test(a_clock_that_was_set_back_is_believed_after_two_periods),
        cmocka_unit_test(a_clock_that_was_set_forward_is_believed_at_once),
        cmocka_unit_test(what_is_older_than_two_periods_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
