#include "history/replay_window.h"
#include "unit.h"

/* Numbers 11 to 16, all messages but 12 and 15; the frame of number n is at position n. */
static struct past *new_past(void)
{
    struct past *past = past_new();
    past_begin(past, 10, 11);
    for (uint64_t n = 11; n <= 16; n++)
        past_note(past, n, n != 12 && n != 15);
    return past;
}

static void test_missed_is_what_the_log_forgot(void **state)
{
    (void)state;
    struct past *past = new_past();
    assert_int_equal(past_missed(past, 10), 0);
    assert_true(past_forget(past, 11, 11));
    assert_true(past_forget(past, 12, 12));
    assert_true(past_forget(past, 13, 13));
    assert_int_equal(past_missed(past, 10), 2);
    assert_int_equal(past_missed(past, 11), 1);
    assert_int_equal(past_missed(past, 13), 0);
    assert_int_equal(past_missed(past, 16), 0);
    assert_false(past_forget(past, 13, 14)); /* a second frame of that number */
    past_free(past);
}

static void test_missed_leaves_out_what_is_before_a_hole(void **state)
{
    (void)state;
    struct past *past = new_past();
    past_skip(past, &(struct past_hole){.after = 16, .seq = 26, .messages = 3, .position = 17});
    past_note(past, 27, true);
    assert_int_equal(past_missed(past, 10), 3); /* 11 to 16 are replayed */
    assert_int_equal(past_missed(past, 16), 3);
    assert_int_equal(past_missed(past, 26), 0);
    assert_int_equal(past_start(past), 11);
    assert_true(past_forget(past, 11, 11));
    assert_int_equal(past_missed(past, 10), 4);
    past_free(past);
}

static void test_a_second_hole_forgets_what_is_before_the_first(void **state)
{
    (void)state;
    struct past *past = new_past();
    past_skip(past, &(struct past_hole){.after = 16, .seq = 26, .messages = 3, .position = 17});
    past_note(past, 27, true);
    past_skip(past, &(struct past_hole){.after = 27, .seq = 30, .messages = 1, .position = 18});
    assert_int_equal(past_start(past), 17);
    assert_int_equal(past_missed(past, 10), 4 + 3 + 1);
    assert_int_equal(past_missed(past, 26), 1);
    assert_int_equal(past_messages(past, 10, 30), 4 + 3 + 1 + 1);
    past_free(past);
}

static void test_begin_forgets_the_epoch_before(void **state)
{
    (void)state;
    struct past *past = new_past();
    past_skip(past, &(struct past_hole){.after = 16, .seq = 26, .messages = 3, .position = 17});
    past_begin(past, 2, 20);
    assert_false(past_forget(past, 14, 14)); /* a frame from before */
    assert_int_equal(past_missed(past, 2), 0);
    past_note(past, 3, true);
    assert_int_equal(past_messages(past, 2, 3), 1);
    assert_int_equal(past_start(past), 20);
    past_free(past);
}

static void test_fork_keeps_what_came_before_it(void **state)
{
    (void)state;
    struct past *past = new_past();
    past_fork(past, 13, 17);
    past_note(past, 14, false);
    past_note(past, 15, true);
    assert_int_equal(past_start(past), 11);
    assert_int_equal(past_missed(past, 10), 0);
    assert_int_equal(past_messages(past, 10, 15), 3); /* 11, 13 and the new 15 */
    past_fork(past, 9, 20);                           /* behind all that is known */
    assert_int_equal(past_start(past), 20);
    assert_int_equal(past_missed(past, 9), 0);
    past_free(past);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missed_is_what_the_log_forgot),
        cmocka_unit_test(test_fork_keeps_what_came_before_it),
        cmocka_unit_test(test_missed_leaves_out_what_is_before_a_hole),
        cmocka_unit_test(test_a_second_hole_forgets_what_is_before_the_first),
        cmocka_unit_test(test_begin_forgets_the_epoch_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
