#include "redis/sentinel_vote.h"
#include "unit.h"

#define NAMES(port, number)                                                                        \
    {                                                                                              \
        .given = true, .epoch = (number), .master = { "10.0.0.1", (port) }                         \
    }

static const struct sentinel_answer nobody = {0};

static int vote_of_three(const struct sentinel_answer answers[3],
                         const struct sentinel_answer *present)
{
    return sentinel_vote(answers, 3, present, 3);
}

static void test_the_newest_configuration_counts_though_most_name_another_master(void **state)
{
    (void)state;
    const struct sentinel_answer answers[] = {NAMES(1, 4), NAMES(2, 5), NAMES(1, 4)};
    assert_int_equal(vote_of_three(answers, &nobody), 1);
    assert_int_equal(vote_of_three(answers, &answers[0]), 1);
}

static void test_of_equally_new_ones_most_votes_count(void **state)
{
    (void)state;
    const struct sentinel_answer answers[] = {NAMES(1, 0), NAMES(2, 0), NAMES(2, 0)};
    assert_int_equal(vote_of_three(answers, &nobody), 1);
    assert_int_equal(vote_of_three(answers, &answers[0]), 1);
}

static void test_where_the_votes_are_equal_the_present_master_stays(void **state)
{
    (void)state;
    const struct sentinel_answer answers[] = {NAMES(1, 0), NAMES(2, 0), {0}};
    assert_int_equal(vote_of_three(answers, &answers[1]), 1);
    assert_int_equal(vote_of_three(answers, &answers[0]), 0);
    assert_int_equal(vote_of_three(answers, &nobody), 0);
}

static void test_an_older_configuration_counts_if_more_than_half_of_all_have_it(void **state)
{
    (void)state;
    const struct sentinel_answer present = NAMES(2, 5);
    const struct sentinel_answer alone[] = {NAMES(1, 4), {0}, {0}};
    const struct sentinel_answer most[] = {NAMES(1, 4), NAMES(1, 4), {0}};
    const struct sentinel_answer unlike[] = {NAMES(1, 3), NAMES(3, 4), {0}};
    assert_int_equal(vote_of_three(alone, &present), -1);
    assert_int_equal(vote_of_three(alone, &nobody), 0);
    assert_int_equal(vote_of_three(most, &present), 0);
    assert_int_equal(vote_of_three(unlike, &present), 1);
    assert_int_equal(sentinel_vote(most, 3, &present, 4), -1); /* half of them */
    assert_int_equal(sentinel_vote(alone, 1, &present, 1), 0);
}

static void test_what_was_refuted_counts_only_when_nothing_else_was_answered(void **state)
{
    (void)state;
    struct sentinel_answer answers[] = {NAMES(1, 9), NAMES(2, 5), NAMES(2, 5)};
    answers[0].refuted = true;
    assert_int_equal(vote_of_three(answers, &nobody), 1);
    assert_int_equal(vote_of_three(answers, &answers[0]), 1); /* most say that it is no master */
    answers[1].refuted = answers[2].refuted = true;
    assert_int_equal(vote_of_three(answers, &nobody), 0);
}

static void test_without_an_answer_nothing_counts(void **state)
{
    (void)state;
    const struct sentinel_answer answers[3] = {0};
    assert_int_equal(vote_of_three(answers, &nobody), -1);
    assert_int_equal(sentinel_vote(answers, 0, &nobody, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_configuration_counts_though_most_name_another_master),
        cmocka_unit_test(test_of_equally_new_ones_most_votes_count),
        cmocka_unit_test(test_where_the_votes_are_equal_the_present_master_stays),
        cmocka_unit_test(test_an_older_configuration_counts_if_more_than_half_of_all_have_it),
        cmocka_unit_test(test_what_was_refuted_counts_only_when_nothing_else_was_answered),
        cmocka_unit_test(test_without_an_answer_nothing_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
