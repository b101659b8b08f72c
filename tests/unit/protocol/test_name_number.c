/* The number behind a nickname that is taken. */
#include "unit.h"

#include "protocol/name.h"

static enum name_error judge(const char *text, struct name *out)
{
    return name_judge(text, strlen(text), out);
}

static void test_with_number_stays_within_limits(void **state)
{
    static const char *const names[] = {
        "alice",
        "1234567890123456",
        "あいうえおかきくけこさしすせそた",
        "👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽"
        "👍"
        "🏽👍🏽👍🏽",
        "می\u200cخواهم",
        "abcdefghijklمی\u200cخ",
        "മോഹന\u0d4d\u200d",
        "´・ω・`",
        "👨\u200d👩\u200d👧👨\u200d👩\u200d👧"};
    struct name name;
    struct name numbered;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(judge(names[i], &name), NAME_OK);
        name_with_number(&name, 42, &numbered);
        assert_string_not_equal(name.shown, numbered.shown);
        assert_string_equal(numbered.shown + strlen(numbered.shown) - 2, "42");
        assert_int_equal(judge(numbered.shown, &numbered), NAME_OK);
    }
}

static void test_number_base_is_what_the_number_is_added_to(void **state)
{
    static const char *const names[] = {"alice",
                                        "Alice 2",
                                        "1234567890123",
                                        "12345678901234",
                                        "ｱﾘｽ",
                                        "ΟΔΥΣΣΕΥΣ",
                                        "abcdefghijklمی\u200cخ",
                                        "❤\ufe0f",
                                        "あいうえおかきくけこさしすせそた"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct name name;
        struct name numbered;
        char base[NAME_BYTES];
        assert_int_equal(judge(names[i], &name), NAME_OK);
        name_with_number(&name, 42, &numbered);
        name_number_base(&name, base);
        size_t len = strlen(base);
        assert_int_equal(strlen(numbered.folded), len + 2);
        assert_memory_equal(numbered.folded, base, len);
    }
}

/* Twelve graphemes that folding makes longer, and a digit: the longest that a folded name is. */
static void write_name_that_fills_when_folded(char text[NAME_BYTES])
{
    text[0] = '\0';
    for (size_t i = 0; i < 12; i++) {
        strcat(text, "\u1f82");
        for (size_t mark = 0; mark < (i < 2 ? 4 : 3); mark++)
            strcat(text, "\u093e");
    }
    strcat(text, "\U000110b02");
}

static void assert_takes_number(const struct name *name, unsigned number)
{
    struct name numbered;
    struct name judged;
    char base[NAME_BYTES];
    char expected[NAME_BYTES + 16];
    name_with_number(name, number, &numbered);
    name_number_base(name, base);
    snprintf(expected, sizeof expected, "%s%u", base, number);
    assert_string_equal(numbered.folded, expected);
    assert_string_not_equal(numbered.folded, name->folded);
    assert_int_equal(judge(numbered.shown, &judged), NAME_OK);
    assert_string_equal(judged.shown, numbered.shown);
    assert_string_equal(judged.folded, numbered.folded);
}

static void test_a_number_fits_whatever_the_name_and_keeps_a_digit_of_its_own(void **state)
{
    char filled[NAME_BYTES];
    const char *const names[] = {
        filled,
        /* a digit joins the letter that stands before it, which is as much as a grapheme holds */
        "\U000111c2\U000111c2\U000111c2\U000111c2\U000111c2\U000111c2"
        "\U000111c2\U000111c2\U000111c2\U000111c2\U000111c2\U000111c2",
        "abcdefghijkl2nop", "1234567890122", "あいうえおかきくけこさし2", "2222222222222222"};
    struct name name;
    (void)state;
    write_name_that_fills_when_folded(filled);
    assert_int_equal(judge(filled, &name), NAME_OK);
    assert_int_equal(strlen(name.folded), NAME_BYTES - 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(judge(names[i], &name), NAME_OK);
        assert_takes_number(&name, 2);
        assert_takes_number(&name, 42);
        assert_takes_number(&name, 999);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_number_stays_within_limits),
        cmocka_unit_test(test_number_base_is_what_the_number_is_added_to),
        cmocka_unit_test(test_a_number_fits_whatever_the_name_and_keeps_a_digit_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
