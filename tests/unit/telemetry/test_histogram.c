/* histogram: buckets with a fixed bound, and what can be read from them. */
#include "telemetry/histogram.h"
#include "unit.h"

static void test_what_takes_as_long_as_a_bound_is_counted_in_its_bucket(void **state)
{
    (void)state;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        struct histogram histogram = {0};
        histogram_add(&histogram, histogram_bound_us(i));
        histogram_add(&histogram, histogram_bound_us(i) + 1);
        assert_int_equal(histogram.counts[i], 1);
        assert_int_equal(histogram.counts[i + 1], 1);
        assert_int_equal(histogram.count, 2);
    }
}

static void test_bounds_grow(void **state)
{
    (void)state;
    for (size_t i = 1; i < HISTOGRAM_BUCKETS; i++)
        assert_true(histogram_bound_us(i) > histogram_bound_us(i - 1));
}

static void test_the_sum_is_of_what_was_added(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    histogram_add(&histogram, 40);
    histogram_add(&histogram, 20000000);
    histogram_add(&histogram, -5);
    assert_int_equal(histogram.sum_us, 20000040);
    assert_int_equal(histogram.count, 3);
    assert_int_equal(histogram.counts[0], 2);
    assert_int_equal(histogram.counts[HISTOGRAM_BUCKETS], 1);
}

static void test_quantiles(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    assert_true(histogram_quantile_us(&histogram, 0.5) == 0);
    for (int i = 0; i < 99; i++)
        histogram_add(&histogram, 80); /* above 50, at most 100 */
    histogram_add(&histogram, 900000);
    double half = histogram_quantile_us(&histogram, 0.5);
    double most = histogram_quantile_us(&histogram, 0.999);
    assert_true(half > 50 && half <= 100);
    assert_true(most > 500000 && most <= 1000000);
    histogram_add(&histogram, 60000000);
    assert_true(histogram_quantile_us(&histogram, 1) == 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_takes_as_long_as_a_bound_is_counted_in_its_bucket),
        cmocka_unit_test(test_bounds_grow),
        cmocka_unit_test(test_the_sum_is_of_what_was_added),
        cmocka_unit_test(test_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
