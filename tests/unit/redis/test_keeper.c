#include "unit.h"

#include "redis/keeper.h"

static void test_deaths_are_too_many_when_three_come_within_the_span(void **state)
{
    (void)state;
    struct keeper_deaths deaths = {0};
    assert_false(keeper_note_death(&deaths, 1000));
    assert_false(keeper_note_death(&deaths, 2000));
    assert_false(keeper_note_death(&deaths, 1001 + KEEPER_SPAN_MS));
    assert_true(keeper_note_death(&deaths, 1002 + KEEPER_SPAN_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaths_are_too_many_when_three_come_within_the_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
