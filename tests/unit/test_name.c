#include "unit.h"

#include "name.h"

static enum name_error judge(const char *text, struct name *out)
{
    return name_judge(text, strlen(text), out);
}

static void assert_same(const char *one, const char *other)
{
    struct name a;
    struct name b;
    assert_int_equal(judge(one, &a), NAME_OK);
    assert_int_equal(judge(other, &b), NAME_OK);
    assert_string_equal(a.folded, b.folded);
}

static void test_judge_fair(void **state)
{
    static const char *const fair[] = {
        "a",      "Alice",       "太郎", "O'Brien", "a b",  "👍🏽",
        "❤️", "\"><script>", "नमस्ते", "שלום",    "x{y}", "あいうえおかきくけこさしすせそた"};
    struct name name;
    (void)state;
    for (size_t i = 0; i < sizeof fair / sizeof *fair; i++)
        assert_int_equal(judge(fair[i], &name), NAME_OK);
}

static void test_judge_trims_and_normalizes(void **state)
{
    struct name name;
    (void)state;
    assert_int_equal(judge("\xe3\x80\x80 ｱﾘｽ \t", &name), NAME_OK);
    assert_string_equal(name.shown, "アリス");
}

static void test_judge_unfair(void **state)
{
    static const struct {
        const char *text;
        enum name_error error;
    } cases[] = {
        {"", NAME_EMPTY},
        {" \xe3\x80\x80 ", NAME_EMPTY},
        {"a\x01", NAME_BAD_CHARACTER},
        {"a\x7f", NAME_BAD_CHARACTER},
        {"a\xc2\x85z", NAME_BAD_CHARACTER}, /* C1 */
        {"\xe2\x80\xae"
         "abc",
         NAME_BAD_CHARACTER},                   /* RLO */
        {"a\xe2\x80\x8b", NAME_BAD_CHARACTER},  /* zero-width space */
        {"\xe2\x81\xa6x", NAME_BAD_CHARACTER},  /* LRI */
        {"\xef\xbb\xbf", NAME_BAD_CHARACTER},   /* BOM */
        {"\xe3\x85\xa4", NAME_BAD_CHARACTER},   /* Hangul filler */
        {"\xe2\xa0\x80", NAME_BAD_CHARACTER},   /* Braille blank */
        {"\xee\x80\x80", NAME_BAD_CHARACTER},   /* private use */
        {"a\xe2\x80\xa8z", NAME_BAD_CHARACTER}, /* line separator */
        {"12345678901234567", NAME_TOO_LONG},
        {"\xff", NAME_BAD_UTF8},
        {"\xed\xa0\x80", NAME_BAD_UTF8}, /* a surrogate */
        {"\xc0\x80", NAME_BAD_UTF8},
    };
    struct name name;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(judge(cases[i].text, &name), cases[i].error);
    assert_int_equal(name_judge("a\0b", 3, &name), NAME_BAD_CHARACTER);
}

static void test_judge_bounds_bytes_of_stacked_marks(void **state)
{
    char text[1000] = "a";
    struct name name;
    (void)state;
    for (size_t i = 1; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xcc\x81", 3);
    assert_int_equal(judge(text, &name), NAME_TOO_LONG);
    text[301] = '\0';
    assert_int_equal(judge(text, &name), NAME_TOO_LONG);
}

static void test_fold(void **state)
{
    (void)state;
    assert_same("Alice", "ALICE");
    assert_same("Straße", "STRASSE");
    assert_same("ＡＢＣ", "abc");
    assert_same("ｱﾘｽ", "アリス");
    assert_same("e\xcc\x81", "É");
    assert_same("ﬁ", "FI");
    assert_same("a️", "a"); /* a variation selector makes no other name */
}

static void test_room(void **state)
{
    char out[NAME_BYTES];
    (void)state;
    static const char *const fair[] = {"lobby", "Tea-Room_2.0", "珈琲", "日本語"};
    for (size_t i = 0; i < sizeof fair / sizeof *fair; i++) {
        assert_int_equal(name_judge_room(fair[i], strlen(fair[i]), out), NAME_OK);
        assert_string_equal(out, fair[i]);
    }
    static const char *const unfair[] = {
        "",     "a b",          "a/b",  "{x}",
        "a}",   "x\n",          "a\"b", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "\xff", "a\xe2\x80\x8b"};
    for (size_t i = 0; i < sizeof unfair / sizeof *unfair; i++)
        assert_int_not_equal(name_judge_room(unfair[i], strlen(unfair[i]), out), NAME_OK);
}

static void test_with_number_stays_within_limits(void **state)
{
    static const char *const names[] = {
        "alice", "1234567890123456", "あいうえおかきくけこさしすせそた",
        "👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽"
        "👍"
        "🏽👍🏽👍🏽"};
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

/* With another letter behind it, utf8proc has to look at all of it. */
static void test_ascii_folds_alone_as_it_does_beside_other_letters(void **state)
{
    (void)state;
    for (int byte = '!'; byte <= '~'; byte++) {
        struct name plain;
        struct name beside;
        char text[8];
        snprintf(text, sizeof text, "%cz", byte);
        assert_int_equal(judge(text, &plain), NAME_OK);
        snprintf(text, sizeof text, "%czé", byte);
        assert_int_equal(judge(text, &beside), NAME_OK);
        assert_memory_equal(plain.folded, beside.folded, 2);
        assert_memory_equal(plain.shown, beside.shown, 2);
        assert_int_equal(strlen(plain.folded), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge_fair),
        cmocka_unit_test(test_judge_trims_and_normalizes),
        cmocka_unit_test(test_judge_unfair),
        cmocka_unit_test(test_judge_bounds_bytes_of_stacked_marks),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_with_number_stays_within_limits),
        cmocka_unit_test(test_number_base_is_what_the_number_is_added_to),
        cmocka_unit_test(test_ascii_folds_alone_as_it_does_beside_other_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
