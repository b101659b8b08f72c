#include "protocol/lineage.h"
#include "unit.h"

static enum lineage_standing stand(const struct lineage *lineage, const char *epoch, uint64_t *seq)
{
    return lineage_stand(lineage, epoch, seq);
}

static void numbers_of_the_same_epoch_are_shared(void **state)
{
    (void)state;
    struct lineage lineage = lineage_read("b", "a:90");
    uint64_t seq = 1000;
    assert_int_equal(stand(&lineage, "b", &seq), LINEAGE_SHARED);
    assert_int_equal(seq, 1000);
}

static void up_to_the_fork_an_earlier_epoch_is_shared(void **state)
{
    (void)state;
    struct lineage lineage = lineage_read("c", "a:90 b:120");
    uint64_t seq = 90;
    assert_int_equal(stand(&lineage, "a", &seq), LINEAGE_SHARED);
    assert_int_equal(seq, 90);
    seq = 120;
    assert_int_equal(stand(&lineage, "b", &seq), LINEAGE_SHARED);
    assert_int_equal(seq, 120);
}

static void who_is_beyond_the_fork_goes_on_from_there(void **state)
{
    (void)state;
    struct lineage lineage = lineage_read("c", "a:90 b:120");
    uint64_t seq = 91;
    assert_int_equal(stand(&lineage, "a", &seq), LINEAGE_FORKED);
    assert_int_equal(seq, 90);
    seq = 121;
    assert_int_equal(stand(&lineage, "b", &seq), LINEAGE_FORKED);
    assert_int_equal(seq, 120);
}

static void who_comes_from_elsewhere_has_seen_nothing_of_the_present_epoch(void **state)
{
    (void)state;
    struct lineage forked = lineage_read("c", "a:90 b:120");
    uint64_t seq = 100;
    assert_int_equal(stand(&forked, "x", &seq), LINEAGE_FOREIGN);
    assert_int_equal(seq, 0);
    struct lineage full = lineage_read("z", "a:1 b:2 c:3 d:4 e:5 f:6 g:7 h:8");
    seq = 100;
    assert_int_equal(stand(&full, "x", &seq), LINEAGE_FOREIGN);
    assert_int_equal(seq, 0);
    assert_int_equal(lineage_unseen_from(&full), 8); /* it may be of an older fork */
    assert_int_equal(lineage_unseen_from(&forked), 0);
    struct lineage stranger = lineage_read("x", "");
    seq = 100;
    assert_int_equal(lineage_meet(&full, &stranger, &seq), LINEAGE_FOREIGN);
    assert_int_equal(seq, 8);
    struct lineage fresh = lineage_read("c", "");
    assert_int_equal(stand(&fresh, "x", &seq), LINEAGE_FOREIGN);
    assert_int_equal(seq, 0);
}

static void an_epoch_is_named_with_letters_digits_and_dashes(void **state)
{
    (void)state;
    assert_true(lineage_is_epoch("a-Z_9"));
    assert_true(lineage_is_epoch("abcdefghijklmnopqrst"));
    assert_false(lineage_is_epoch("abcdefghijklmnopqrstu"));
    assert_false(lineage_is_epoch(""));
    assert_false(lineage_is_epoch("a b"));
    assert_false(lineage_is_epoch("a\"b"));
    assert_false(lineage_is_epoch("\xff"));
}

static void what_somebody_wrote_there_by_hand_is_left_out(void **state)
{
    (void)state;
    struct lineage lineage =
        lineage_read("c", "  :5 a: b b:x c:1x an-epoch-that-is-longer-than-any-of-ours:7 d:-1  "
                          "e:18446744073709551615 f:4503599627370496 g:99999999999999999999 "
                          "h:4503599627370495");
    assert_int_equal(lineage.count, 1);
    assert_string_equal(lineage.forks[0].epoch, "h");
    assert_int_equal(lineage_read("c", NULL).count, 0);
    assert_string_equal(lineage_read(NULL, NULL).epoch, "");
}

static void of_many_forks_the_last_are_kept(void **state)
{
    (void)state;
    struct lineage lineage = lineage_read("z", "a:1 b:2 c:3 d:4 e:5 f:6 g:7 h:8 i:9 j:10");
    uint64_t seq = 1;
    assert_int_equal(lineage.count, LINEAGE_FORKS);
    assert_int_equal(stand(&lineage, "b", &seq), LINEAGE_FOREIGN);
    seq = 3;
    assert_int_equal(stand(&lineage, "c", &seq), LINEAGE_SHARED);
    assert_int_equal(stand(&lineage, "j", &seq), LINEAGE_SHARED);
}

static void two_lineages_share_what_came_before_the_first_of_their_forks(void **state)
{
    (void)state;
    struct lineage now = lineage_read("d", "a:80 c:100");
    struct lineage sibling = lineage_read("b", "a:80");
    uint64_t seq = 90;
    assert_int_equal(lineage_meet(&now, &sibling, &seq), LINEAGE_FORKED);
    assert_int_equal(seq, 80);
    seq = 80; /* nothing was said in b */
    assert_int_equal(lineage_meet(&now, &sibling, &seq), LINEAGE_SHARED);
    assert_int_equal(seq, 80);
    struct lineage parent = lineage_read("a", "");
    seq = 70;
    assert_int_equal(lineage_meet(&now, &parent, &seq), LINEAGE_SHARED);
    assert_int_equal(seq, 70);
    struct lineage stranger = lineage_read("y", "x:5");
    seq = 9;
    assert_int_equal(lineage_meet(&now, &stranger, &seq), LINEAGE_FOREIGN);
    assert_int_equal(seq, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_the_same_epoch_are_shared),
        cmocka_unit_test(up_to_the_fork_an_earlier_epoch_is_shared),
        cmocka_unit_test(who_is_beyond_the_fork_goes_on_from_there),
        cmocka_unit_test(who_comes_from_elsewhere_has_seen_nothing_of_the_present_epoch),
        cmocka_unit_test(an_epoch_is_named_with_letters_digits_and_dashes),
        cmocka_unit_test(what_somebody_wrote_there_by_hand_is_left_out),
        cmocka_unit_test(of_many_forks_the_last_are_kept),
        cmocka_unit_test(two_lineages_share_what_came_before_the_first_of_their_forks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
