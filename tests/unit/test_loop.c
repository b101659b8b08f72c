/* loop: sleeps when its iterations come fast and have nothing left to do. */
#include "base/clock.h"
#include "loop.h"
#include "unit.h"

#include <sys/resource.h>

static void throttle(int iterations)
{
    int64_t empty_at_us = 0;
    while (iterations-- > 0)
        loop_throttle(&empty_at_us);
}

static long sleeps(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

static void test_iterations_that_come_fast_are_a_thousand_a_second(void **state)
{
    (void)state;
    int64_t begun_us = clock_monotonic_us();
    throttle(100);
    assert_true(clock_monotonic_us() - begun_us >= 90000); /* all but eight */
}

static void test_a_few_iterations_do_not_wait(void **state)
{
    (void)state;
    long before = sleeps();
    throttle(8);
    assert_true(sleeps() - before < 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iterations_that_come_fast_are_a_thousand_a_second),
        cmocka_unit_test(test_a_few_iterations_do_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
