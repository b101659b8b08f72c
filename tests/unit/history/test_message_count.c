#include "history/message_count.h"
#include "unit.h"

static void test_between_counts_messages_alone(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    tally_begin(tally, 10);
    tally_note(tally, 11, true);
    tally_note(tally, 12, false);
    tally_note(tally, 13, false);
    tally_note(tally, 14, true);
    assert_int_equal(tally_between(tally, 10, 14), 2);
    assert_int_equal(tally_between(tally, 11, 13), 0);
    assert_int_equal(tally_between(tally, 13, 14), 1);
    assert_int_equal(tally_between(tally, 14, 14), 0);
    assert_int_equal(tally_between(tally, 14, 3), 0);
    tally_free(tally);
}

static void test_between_takes_unknown_numbers_for_messages(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    tally_begin(tally, 10);
    tally_note(tally, 11, false);
    assert_int_equal(tally_between(tally, 5, 11), 5);  /* 6 to 10 */
    assert_int_equal(tally_between(tally, 2, 7), 5);   /* all before what is known */
    assert_int_equal(tally_between(tally, 10, 14), 3); /* 12 to 14 */
    tally_note(tally, 14, false);                      /* 12 and 13 were left out */
    assert_int_equal(tally_between(tally, 10, 14), 2);
    tally_free(tally);
}

static void test_skip_knows_how_many_were_messages(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    tally_begin(tally, 0);
    tally_note(tally, 1, true);
    tally_skip(tally, 11, 4);
    tally_note(tally, 12, true);
    assert_int_equal(tally_between(tally, 0, 12), 6);
    assert_int_equal(tally_between(tally, 1, 11), 4);
    tally_skip(tally, 5, 3); /* the past does not change */
    tally_note(tally, 7, false);
    assert_int_equal(tally_between(tally, 0, 12), 6);
    tally_free(tally);
}

static void test_note_forgets_the_oldest(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    tally_begin(tally, 0);
    const uint64_t last = TALLY_NUMBERS * 3 / 2;
    for (uint64_t n = 1; n <= last; n++)
        tally_note(tally, n, n % 4 == 0);
    assert_int_equal(tally_between(tally, last - TALLY_NUMBERS, last), TALLY_NUMBERS / 4);
    assert_int_equal(tally_between(tally, 0, last), TALLY_NUMBERS / 2 + TALLY_NUMBERS / 4);
    tally_skip(tally, last + TALLY_NUMBERS * 10, 7);
    assert_int_equal(tally_between(tally, last + 9 * TALLY_NUMBERS, last + 10 * TALLY_NUMBERS), 7);
    tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_counts_messages_alone),
        cmocka_unit_test(test_between_takes_unknown_numbers_for_messages),
        cmocka_unit_test(test_skip_knows_how_many_were_messages),
        cmocka_unit_test(test_note_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
