#include "history/replay_window.h"
#include "unit.h"

/* Numbers 11 to 16, all messages but 12 and 15; the frame of number n is at position n. */
static struct replay_window *new_window(void)
{
    struct replay_window *window = replay_window_new();
    replay_window_begin(window, 10, 11);
    for (uint64_t n = 11; n <= 16; n++)
        replay_window_note(window, n, n != 12 && n != 15);
    return window;
}

static void test_missed_is_what_the_log_forgot(void **state)
{
    (void)state;
    struct replay_window *window = new_window();
    assert_int_equal(replay_window_missed(window, 10), 0);
    assert_true(replay_window_forget(window, 11, 11));
    assert_true(replay_window_forget(window, 12, 12));
    assert_true(replay_window_forget(window, 13, 13));
    assert_int_equal(replay_window_missed(window, 10), 2);
    assert_int_equal(replay_window_missed(window, 11), 1);
    assert_int_equal(replay_window_missed(window, 13), 0);
    assert_int_equal(replay_window_missed(window, 16), 0);
    assert_false(replay_window_forget(window, 13, 14)); /* a second frame of that number */
    replay_window_free(window);
}

static void test_missed_leaves_out_what_is_before_a_hole(void **state)
{
    (void)state;
    struct replay_window *window = new_window();
    replay_window_skip(
        window, &(struct replay_hole){.after = 16, .seq = 26, .messages = 3, .position = 17});
    replay_window_note(window, 27, true);
    assert_int_equal(replay_window_missed(window, 10), 3); /* 11 to 16 are replayed */
    assert_int_equal(replay_window_missed(window, 16), 3);
    assert_int_equal(replay_window_missed(window, 26), 0);
    assert_int_equal(replay_window_start(window), 11);
    assert_true(replay_window_forget(window, 11, 11));
    assert_int_equal(replay_window_missed(window, 10), 4);
    replay_window_free(window);
}

static void test_a_second_hole_forgets_what_is_before_the_first(void **state)
{
    (void)state;
    struct replay_window *window = new_window();
    replay_window_skip(
        window, &(struct replay_hole){.after = 16, .seq = 26, .messages = 3, .position = 17});
    replay_window_note(window, 27, true);
    replay_window_skip(
        window, &(struct replay_hole){.after = 27, .seq = 30, .messages = 1, .position = 18});
    assert_int_equal(replay_window_start(window), 17);
    assert_int_equal(replay_window_missed(window, 10), 4 + 3 + 1);
    assert_int_equal(replay_window_missed(window, 26), 1);
    assert_int_equal(replay_window_messages(window, 10, 30), 4 + 3 + 1 + 1);
    replay_window_free(window);
}

static void test_begin_forgets_the_epoch_before(void **state)
{
    (void)state;
    struct replay_window *window = new_window();
    replay_window_skip(
        window, &(struct replay_hole){.after = 16, .seq = 26, .messages = 3, .position = 17});
    replay_window_begin(window, 2, 20);
    assert_false(replay_window_forget(window, 14, 14)); /* a frame from before */
    assert_int_equal(replay_window_missed(window, 2), 0);
    replay_window_note(window, 3, true);
    assert_int_equal(replay_window_messages(window, 2, 3), 1);
    assert_int_equal(replay_window_start(window), 20);
    replay_window_free(window);
}

static void test_fork_keeps_what_came_before_it(void **state)
{
    (void)state;
    struct replay_window *window = new_window();
    replay_window_fork(window, 13, 17);
    replay_window_note(window, 14, false);
    replay_window_note(window, 15, true);
    assert_int_equal(replay_window_start(window), 11);
    assert_int_equal(replay_window_missed(window, 10), 0);
    assert_int_equal(replay_window_messages(window, 10, 15), 3); /* 11, 13 and the new 15 */
    replay_window_fork(window, 9, 20);                           /* behind all that is recorded */
    assert_int_equal(replay_window_start(window), 20);
    assert_int_equal(replay_window_missed(window, 9), 0);
    replay_window_free(window);
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
