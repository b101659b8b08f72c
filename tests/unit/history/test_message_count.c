#include "history/message_count.h"
#include "unit.h"

static void test_between_counts_messages_alone(void **state)
{
    (void)state;
    struct message_count *numbers = message_count_new();
    message_count_begin(numbers, 10);
    message_count_note(numbers, 11, true);
    message_count_note(numbers, 12, false);
    message_count_note(numbers, 13, false);
    message_count_note(numbers, 14, true);
    assert_int_equal(message_count_between(numbers, 10, 14), 2);
    assert_int_equal(message_count_between(numbers, 11, 13), 0);
    assert_int_equal(message_count_between(numbers, 13, 14), 1);
    assert_int_equal(message_count_between(numbers, 14, 14), 0);
    assert_int_equal(message_count_between(numbers, 14, 3), 0);
    message_count_free(numbers);
}

static void test_between_takes_unknown_numbers_for_messages(void **state)
{
    (void)state;
    struct message_count *numbers = message_count_new();
    message_count_begin(numbers, 10);
    message_count_note(numbers, 11, false);
    assert_int_equal(message_count_between(numbers, 5, 11), 5);  /* 6 to 10 */
    assert_int_equal(message_count_between(numbers, 2, 7), 5);   /* all before what is recorded */
    assert_int_equal(message_count_between(numbers, 10, 14), 3); /* 12 to 14 */
    message_count_note(numbers, 14, false);                      /* 12 and 13 were left out */
    assert_int_equal(message_count_between(numbers, 10, 14), 2);
    message_count_free(numbers);
}

static void test_skip_knows_how_many_were_messages(void **state)
{
    (void)state;
    struct message_count *numbers = message_count_new();
    message_count_begin(numbers, 0);
    message_count_note(numbers, 1, true);
    message_count_skip(numbers, 11, 4);
    message_count_note(numbers, 12, true);
    assert_int_equal(message_count_between(numbers, 0, 12), 6);
    assert_int_equal(message_count_between(numbers, 1, 11), 4);
    message_count_skip(numbers, 5, 3); /* what is recorded does not change */
    message_count_note(numbers, 7, false);
    assert_int_equal(message_count_between(numbers, 0, 12), 6);
    message_count_free(numbers);
}

static void test_note_forgets_the_oldest(void **state)
{
    (void)state;
    struct message_count *numbers = message_count_new();
    message_count_begin(numbers, 0);
    const uint64_t last = MESSAGE_COUNT_NUMBERS * 3 / 2;
    for (uint64_t n = 1; n <= last; n++)
        message_count_note(numbers, n, n % 4 == 0);
    assert_int_equal(message_count_between(numbers, last - MESSAGE_COUNT_NUMBERS, last),
                     MESSAGE_COUNT_NUMBERS / 4);
    assert_int_equal(message_count_between(numbers, 0, last),
                     MESSAGE_COUNT_NUMBERS / 2 + MESSAGE_COUNT_NUMBERS / 4);
    message_count_skip(numbers, last + MESSAGE_COUNT_NUMBERS * 10, 7);
    assert_int_equal(message_count_between(numbers, last + 9 * MESSAGE_COUNT_NUMBERS,
                                           last + 10 * MESSAGE_COUNT_NUMBERS),
                     7);
    message_count_free(numbers);
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
