#include "unit.h"

#include "telemetry/sightings.h"

static void check_says(const struct sightings *sightings, int64_t now_ms, const char *expected)
{
    struct text out = TEXT_EMPTY;
    sightings_render(sightings, now_ms, &out);
    assert_string_equal(out.data, expected);
    text_done(&out);
}

static void test_each_gateway_has_the_time_since_it_was_seen(void **state)
{
    struct sightings sightings = {0};
    (void)state;
    check_says(&sightings, 5000, "{}");
    sightings_note(&sightings, "a", 1000);
    sightings_note(&sightings, "b\"", 2500);
    check_says(&sightings, 5000, "{\"a\":4.000,\"b\\\"\":2.500}");
    sightings_note(&sightings, "a", 5000);
    check_says(&sightings, 5001, "{\"a\":0.001,\"b\\\"\":2.501}");
}

static void test_who_is_no_longer_listed_is_forgotten(void **state)
{
    struct sightings sightings = {0};
    (void)state;
    sightings_note(&sightings, "a", 0);
    sightings_note(&sightings, "b", 0);
    sightings_note(&sightings, "c", 0);
    sightings_begin_list(&sightings);
    sightings_list(&sightings, "c");
    sightings_list(&sightings, "a");
    sightings_list(&sightings, "never seen");
    sightings_end_list(&sightings);
    check_says(&sightings, 1000, "{\"a\":1.000,\"c\":1.000}");
}

static void test_ids_that_others_choose_are_bounded(void **state)
{
    struct sightings sightings = {0};
    char id[SIGHTINGS_ID_BYTES + 1];
    (void)state;
    memset(id, 'x', sizeof id);
    id[SIGHTINGS_ID_BYTES] = '\0';
    sightings_note(&sightings, id, 0);
    assert_int_equal(sightings.count, 0);
    sightings_note(&sightings, id + 1, 0);
    assert_int_equal(sightings.count, 1);
    for (int i = 0; i < 2 * SIGHTINGS_MOST; i++) {
        snprintf(id, sizeof id, "%d", i);
        sightings_note(&sightings, id, 0);
    }
    assert_int_equal(sightings.count, SIGHTINGS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_gateway_has_the_time_since_it_was_seen),
        cmocka_unit_test(test_who_is_no_longer_listed_is_forgotten),
        cmocka_unit_test(test_ids_that_others_choose_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
