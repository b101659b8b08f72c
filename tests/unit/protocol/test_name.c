#include "unit.h"

#include "protocol/name.h"

static enum name_error judge(const char *text, struct name *out)
{
    return name_judge(text, strlen(text), out);
}

static void assert_judged(const char *text, enum name_error error)
{
    struct name name;
    enum name_error got = judge(text, &name);
    if (got != error)
        fail_msg("\"%s\" is judged %d, not %d", text, (int)got, (int)error);
}

static void assert_same(const char *one, const char *other)
{
    struct name a;
    struct name b;
    assert_int_equal(judge(one, &a), NAME_OK);
    assert_int_equal(judge(other, &b), NAME_OK);
    assert_string_equal(a.folded, b.folded);
}

static void assert_different(const char *one, const char *other)
{
    struct name a;
    struct name b;
    assert_int_equal(judge(one, &a), NAME_OK);
    assert_int_equal(judge(other, &b), NAME_OK);
    assert_string_not_equal(a.folded, b.folded);
}

static void test_judge_fair(void **state)
{
    static const char *const fair[] = {
        "a",      "Alice",       "太郎", "O'Brien", "a b",  "👍🏽",
        "❤️", "\"><script>", "नमस्ते", "שלום",    "x{y}", "あいうえおかきくけこさしすせそた"};
    (void)state;
    for (size_t i = 0; i < sizeof fair / sizeof *fair; i++)
        assert_judged(fair[i], NAME_OK);
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
        assert_judged(cases[i].text, cases[i].error);
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
    assert_int_equal(judge(text, &name), NAME_CROWDED);
}

static void test_judge_a_run_of_white_space_is_one_space(void **state)
{
    static const char *const same[] = {
        "ann  lee",
        "ann\u00a0lee",
        "ann\u1680lee",
        "ann\u2003\u3000 \u205f\u202flee",
        " \u1680ann lee\u3000\t",
        "\xc2\x85\u2028ann lee\u2029\n",
        "  ann   lee  ",
    };
    struct name name;
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(judge(same[i], &name), NAME_OK);
        assert_string_equal(name.shown, "ann lee");
        assert_string_equal(name.folded, "ann lee");
    }
    assert_int_equal(judge("a      b      c      d      e", &name), NAME_OK);
    assert_string_equal(name.shown, "a b c d e");
}

static void test_judge_a_free_standing_accent_keeps_its_space(void **state)
{
    struct name name;
    (void)state;
    assert_int_equal(judge("´・ω・`", &name), NAME_OK);
    assert_string_equal(name.shown, "\u00a0\u0301・ω・`");
    assert_int_equal(judge("a \u0301b", &name), NAME_OK);
    assert_string_equal(name.shown, "a\u00a0\u0301b");
    assert_int_equal(judge("(￣ー￣)", &name), NAME_OK);
    assert_same("O´Brien", "o  \u0301brien");
}

static void test_judge_refuses_what_cannot_be_seen(void **state)
{
    static const struct {
        const char *text;
        enum name_error error;
    } cases[] = {
        {"\u1680", NAME_EMPTY},
        {"\u2003\u3000", NAME_EMPTY},
        {"\U0001D159", NAME_BAD_CHARACTER}, /* null notehead */
        {"ann\U0001D159", NAME_BAD_CHARACTER},
        {"\uFFFC", NAME_BAD_CHARACTER},
        {"\U00013441", NAME_BAD_CHARACTER}, /* blanks of hieroglyphs */
        {"\U00013442", NAME_BAD_CHARACTER},
        {"\U00013430", NAME_BAD_CHARACTER}, /* what joins them */
        {"\U00016FE4", NAME_BAD_CHARACTER}, /* Khitan filler */
        {"\U0001D173", NAME_BAD_CHARACTER}, /* begin beam */
        {"\U0001BCA0", NAME_BAD_CHARACTER}, /* shorthand overlap */
        {"\U000E0001", NAME_BAD_CHARACTER}, /* language tag */
        {"\u034F", NAME_BAD_CHARACTER},
        {"\u115F", NAME_BAD_CHARACTER},
        {"\uFFA0", NAME_BAD_CHARACTER},
        {"\u180E", NAME_BAD_CHARACTER},
        {"\u2060", NAME_BAD_CHARACTER},
        {"\u2065", NAME_BAD_CHARACTER},
        {"\uFFF0", NAME_BAD_CHARACTER},
        {"\uFE0F", NAME_BAD_CHARACTER}, /* selectors that select nothing */
        {"\U000E0100", NAME_BAD_CHARACTER},
        {"a\uFE0F\uFE0E", NAME_BAD_CHARACTER},
        {"a \uFE0F", NAME_BAD_CHARACTER},
        {"\u0301", NAME_BLANK}, /* marks on nothing */
        {"\u0301ann", NAME_BLANK},
        {"\U0001107F", NAME_BLANK},
        {"\u093F", NAME_BLANK},
        {"\u20DD", NAME_BLANK},
        {" \u0301", NAME_BLANK},
        {"\u00B4", NAME_BLANK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_judged(cases[i].text, cases[i].error);
}

static void test_judge_few_marks_stand_on_a_letter(void **state)
{
    static const char *const fair[] = {
        "Nguyễn Thị Hà",
        "e\u0301\u0323\u0308\u0304",
        "יְרוּשָׁלַ֖יִם",
        "שּׁ֖ר",
        "مُحَمَّد",
        "ٱلرَّحْمَٰنِ",
        "བསྒྲུབས་",
        "ཧཱུྂ",
        "क्षत्रिय",
        "कृ॑ष्ण",
        "น้ำผึ้ง",
        "ที่รัก",
        "လွှိုင်",
        "မြို့",
        "ស្ត្រី",
        "ᾧ",
        "이승훈",
        "1\uFE0F\u20E3",
        "கௌசல்யா",
        "ක්‍රිෂ්ණ",
    };
    static const char *const crowded[] = {
        "e\u0301\u0302\u0303\u0304\u0306",
        "Z\u0301\u0302\u0303\u0301\u0302\u0303",
        "\u00e1\u0301",        /* the same twice: on top of each other in many fonts */
        "ก็็",                   /* the same */
        "a\u0301\uFE0F\u0301", /* and with a selector between */
        "\u0915\u093E\u093E\u093E\u093E\u093E\u093E\u093E\u093E\u093E\u093E\u093E\u093E",
        "ᄀᄀᄀᄀᄀᄀᄀᄀᄀᄀᄀᄀᄀ", /* one syllable, as wide as a line */
    };
    (void)state;
    for (size_t i = 0; i < sizeof fair / sizeof *fair; i++)
        assert_judged(fair[i], NAME_OK);
    for (size_t i = 0; i < sizeof crowded / sizeof *crowded; i++)
        assert_judged(crowded[i], NAME_CROWDED);
}

/* Each is shown as it came, and is the name that it is without what draws nothing. */
static void test_judge_joiners_stand_where_unicode_wants_them(void **state)
{
    static const struct {
        const char *text, *without;
    } cases[] = {
        {"👨\u200d👩\u200d👧", "👨👩👧"},
        {"👩🏽\u200d💻", "👩🏽💻"},
        {"👩🏻\u200d❤\ufe0f\u200d💋\u200d👩🏿", "👩🏻❤💋👩🏿"},
        {"🏳\ufe0f\u200d🌈", "🏳🌈"},
        {"🏴\u200d☠\ufe0f", "🏴☠"},
        {"🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "🏴"},
        {"می\u200cخواهم", "میخواهم"},
        {"نَ\u200cه", "نَه"}, /* over a vowel */
        {"ශ\u0dca\u200dරී", "ශ\u0dcaරී"},
        {"क\u094d\u200dष", "क\u094dष"},
        {"क\u094d\u200cष", "क\u094dष"},
        {"മോഹന\u0d4d\u200d", "മോഹന\u0d4d"},
        {"র\u200d\u09cdযাচেল", "র\u09cdযাচেল"},
        {"葛\U000E0100", "葛"},
        {"❤\ufe0f", "❤"},
        {"ann\ufe0f", "ann"},
        {"\u182d\u180b", "\u182d"},
    };
    struct name name;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(judge(cases[i].text, &name), NAME_OK);
        assert_string_equal(name.shown, cases[i].text);
        assert_same(cases[i].text, cases[i].without);
    }
}

static void test_judge_joiners_stand_nowhere_else(void **state)
{
    static const char *const unfair[] = {
        "an\u200dn",
        "an\u200cn",
        "ann\u200d",
        "\u200dann",
        "\u200c",
        "👨\u200d",
        "\u200d👨",
        "👨\u200d\u200d👩",
        "👨\u200dx",
        "x\u200d👨",
        "می\u200c",
        "می\u200c x",
        "می\u200d",
        "க\u200cக", /* no virama */
        "क\u094d\u200d\u200d",
        "🏴\U000E0067\U000E0062",                                      /* no end */
        "🏴\U000E007F",                                                /* nothing in it */
        "🏴\U000E0067\U000E0062\U000E007F",                            /* too short */
        "x\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", /* no flag */
        "🏴\U000E0067\U000E0062\U000E0065\U000E007F\U000E007F",
        "🏴\U000E0067\U000E0062\U000E0020\U000E0065\U000E007F",
        "\U000E0067",
    };
    (void)state;
    for (size_t i = 0; i < sizeof unfair / sizeof *unfair; i++)
        assert_judged(unfair[i], NAME_BAD_CHARACTER);
}

static void test_judge_sixteen_flags_fit_and_sixteen_families_are_too_long(void **state)
{
    static const char family[] = "👨\u200d👩\u200d👧";
    char text[sizeof family * 16] = "";
    struct name name;
    (void)state;
    assert_int_equal(judge("🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵", &name), NAME_OK);
    for (size_t i = 1; i <= 16; i++) {
        strcat(text, family);
        assert_int_equal(judge(text, &name),
                         i * strlen(family) < NAME_BYTES ? NAME_OK : NAME_TOO_LONG);
    }
    /* one grapheme is not as many people as one likes */
    assert_int_equal(judge("👨\u200d👨\u200d👨\u200d👨\u200d👨\u200d👨\u200d👨", &name), NAME_CROWDED);
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
    assert_same("a️", "a");    /* a variation selector makes no other name */
    assert_same("i\u0307", "i"); /* nor does a dot on a dot */
    assert_same("İ", "i");
    assert_same("a\ufe0f\u0301", "á");
}

/* Soft_Dotted: PropList.txt of Unicode 15.0. */
static void test_fold_a_second_dot_on_a_letter_that_has_one_makes_no_other_name(void **state)
{
    static const char *const letters[] = {
        "i",          "j",          "\u012F",     "\u0249",     "\u0268",     "\u029D",
        "\u02B2",     "\u03F3",     "\u0456",     "\u0458",     "\u1D62",     "\u1D96",
        "\u1DA4",     "\u1DA8",     "\u1E2D",     "\u1ECB",     "\u2071",     "\u2148",
        "\u2149",     "\u2C7C",     "\U0001D422", "\U0001D423", "\U0001D456", "\U0001D457",
        "\U0001D48A", "\U0001D48B", "\U0001D4BE", "\U0001D4BF", "\U0001D4F2", "\U0001D4F3",
        "\U0001D526", "\U0001D527", "\U0001D55A", "\U0001D55B", "\U0001D58E", "\U0001D58F",
        "\U0001D5C2", "\U0001D5C3", "\U0001D5F6", "\U0001D5F7", "\U0001D62A", "\U0001D62B",
        "\U0001D65E", "\U0001D65F", "\U0001D692", "\U0001D693", "\U0001DF1A", "\U0001E04C",
        "\U0001E04D", "\U0001E068"};
    (void)state;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        char plain[32];
        char dotted[32];
        snprintf(plain, sizeof plain, "%sn", letters[i]);
        snprintf(dotted, sizeof dotted, "%s\u0307n", letters[i]);
        assert_same(plain, dotted);
        snprintf(plain, sizeof plain, "%s\u0331n", letters[i]);
        snprintf(dotted, sizeof dotted, "%s\u0331\u0307n", letters[i]);
        assert_same(plain, dotted);
        snprintf(dotted, sizeof dotted, "%s\u0307\ufe0f\u0331n", letters[i]);
        assert_same(plain, dotted);
    }
    assert_same("i\u0323n", "i\u0323\u0307n");
    assert_same("i\u0327\u0323n", "i\u0307\u0323\u0327n");
    assert_same("\u012e\u0307", "\u012f");
}

static void test_fold_a_dot_that_is_wanting_below_a_mark_makes_no_other_name(void **state)
{
    (void)state;
    assert_same("\u0131\u0307", "i");
    assert_same("\u0131\u0301n", "ín");
    assert_same("\u0131\u0323\u0307", "ị");
    assert_same("\u0237\u030c", "ǰ");
    assert_same("\U0001d6a4\u0301", "í");
    assert_different("\u0237x\u0301", "jx\u0301");
}

static void test_fold_a_dot_that_is_seen_makes_another_name(void **state)
{
    (void)state;
    assert_different("í\u0307", "í");
    assert_different("i\u20dd\u0307", "i\u20dd");
    assert_different("in\u0307", "in");
    assert_different("ȧ", "a");
    assert_different("i\u0307\u0301", "i\u0301\u0307");
}

static void test_fold_what_looks_like_ascii_is_the_same_name(void **state)
{
    static const struct {
        const char *plain, *alike;
    } cases[] = {
        {"alice", "аlice"},   {"alice", "аӏісе"},      {"Alice", "Аlice"},   {"Alice", "ΑLICΕ"},
        {"boris", "ВОRIЅ"},   {"NICK", "ΝΙСΚ"},        {"Nick", "Νick"},     {"Yves", "Υves"},
        {"henry", "Неnrу"},   {"mike", "mıke"},        {"tom", "Тоm"},       {"tom", "τοm"},
        {"viktor", "νiktοr"}, {"alice", "ａｌｉｃｅ"}, {"alice", "𝒂𝓁𝐢𝙘𝖊"},   {"coop", "ꓚꓳꓳꓑ"},
        {"joe", "јое"},       {"ann", "ɑnn"},          {"O'Neil", "O’Neil"}, {"a-b", "a‐b"},
        {"zoë", "zоё"},       {"zoë", "zοe\u0308"},    {"sue", "ѕuе"},       {"bob", "Ьоb"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_same(cases[i].plain, cases[i].alike);
}

static void test_fold_what_looks_alike_beyond_ascii_is_the_same_name(void **state)
{
    (void)state;
    assert_same("カ", "力");
    assert_same("ロビー", "口ビ一");
    assert_same("へ", "ヘ");
    assert_same("п", "π");
    assert_same("ə", "ǝ");
    assert_same("Cæsar", "Cӕsar"); /* both look like two letters */
    assert_same("ѳома", "өома");   /* a letter with a stroke, and one that looks so */
    assert_different("æ", "ae");
}

/* Whoever types the key of a member in redis-cli types the name. */
static void test_fold_leaves_ascii_as_it_is_typed(void **state)
{
    static const char *const names[] = {"alice", "mike", "lol",   "1o1",  "i|l1",
                                        "o0",    "rn",   "bob 2", "x{y}", "\"'`-_~^"};
    struct name name;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(judge(names[i], &name), NAME_OK);
        assert_string_equal(name.folded, names[i]);
    }
    assert_different("lol", "1o1");
    assert_different("rn", "m");
}

static void test_fold_a_greek_name_is_the_same_in_capitals(void **state)
{
    (void)state;
    assert_same("νικος", "ΝΙΚΟΣ");
    assert_same("νυν", "ΝΥΝ");
    assert_same("алиса", "АЛИСА");
    assert_same("Նարե", "նարե");
}

static void assert_folds_once(const char *text)
{
    struct name name;
    struct name again;
    if (judge(text, &name) != NAME_OK)
        return;
    assert_true(strlen(name.folded) < NAME_BYTES);
    assert_int_equal(judge(name.folded, &again), NAME_OK);
    if (strcmp(name.folded, again.folded) != 0)
        fail_msg("\"%s\" folds to \"%s\", and that to \"%s\"", text, name.folded, again.folded);
}

static void test_fold_of_each_character_is_its_own_fold(void **state)
{
    (void)state;
    for (uint32_t code = 0x80; code < 0x30000; code++) {
        char text[16];
        size_t len = 0;
        text[len++] = 'a';
        if (code < 0x800)
            text[len++] = (char)(0xc0 | code >> 6);
        else if (code < 0x10000)
            text[len++] = (char)(0xe0 | code >> 12);
        else
            text[len++] = (char)(0xf0 | code >> 18);
        if (code >= 0x10000)
            text[len++] = (char)(0x80 | (code >> 12 & 0x3f));
        if (code >= 0x800)
            text[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        text[len++] = (char)(0x80 | (code & 0x3f));
        memcpy(text + len, "\u0301z", sizeof "\u0301z");
        assert_folds_once(text);
        memcpy(text + len, "z", sizeof "z");
        assert_folds_once(text);
        assert_folds_once(text + 1);
    }
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

static void test_room_is_judged_as_names_are(void **state)
{
    static const struct {
        const char *text, *room;
    } fair[] = {
        {"葛\U000E0100城", "葛城"},   {"lobby\ufe0f", "lobby"},
        {"می\u200cخواهم", "میخواهم"}, {"ශ\u0dca\u200dරී", "ශ\u0dcaරී"},
        {"か\ufe00\u3099", "が"},     {"हिन्दी", "हिन्दी"},
        {"ị\u0307n", "ịn"},           {"\u0131\u0301", "í"},
        {"\u0130n", "\u0130n"},       {"\u0131n", "\u0131n"},
    };
    static const char *const unfair[] = {
        "\u0301",   "\u0301a", "...\u034f",  "a\u200db", "e\u0301\u0302\u0303\u0304\u0306",
        "a\u1680b", "\ufe0f",  "\U00016fe4",
    };
    char out[NAME_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof fair / sizeof *fair; i++) {
        assert_int_equal(name_judge_room(fair[i].text, strlen(fair[i].text), out), NAME_OK);
        assert_string_equal(out, fair[i].room);
    }
    for (size_t i = 0; i < sizeof unfair / sizeof *unfair; i++)
        assert_int_not_equal(name_judge_room(unfair[i], strlen(unfair[i]), out), NAME_OK);
}

/* Nobody would come into it by its own name. */
static void test_a_room_is_not_fair_by_an_invisible_sign_between_two_marks(void **state)
{
    static const char apart[] = "e\u0301\u180c\u0301\u0323";
    char out[NAME_BYTES];
    (void)state;
    assert_int_equal(name_judge_room(apart, strlen(apart), out), NAME_CROWDED);
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
        cmocka_unit_test(test_judge_a_run_of_white_space_is_one_space),
        cmocka_unit_test(test_judge_a_free_standing_accent_keeps_its_space),
        cmocka_unit_test(test_judge_refuses_what_cannot_be_seen),
        cmocka_unit_test(test_judge_few_marks_stand_on_a_letter),
        cmocka_unit_test(test_judge_joiners_stand_where_unicode_wants_them),
        cmocka_unit_test(test_judge_joiners_stand_nowhere_else),
        cmocka_unit_test(test_judge_sixteen_flags_fit_and_sixteen_families_are_too_long),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_fold_a_second_dot_on_a_letter_that_has_one_makes_no_other_name),
        cmocka_unit_test(test_fold_a_dot_that_is_wanting_below_a_mark_makes_no_other_name),
        cmocka_unit_test(test_fold_a_dot_that_is_seen_makes_another_name),
        cmocka_unit_test(test_fold_what_looks_like_ascii_is_the_same_name),
        cmocka_unit_test(test_fold_what_looks_alike_beyond_ascii_is_the_same_name),
        cmocka_unit_test(test_fold_leaves_ascii_as_it_is_typed),
        cmocka_unit_test(test_fold_a_greek_name_is_the_same_in_capitals),
        cmocka_unit_test(test_fold_of_each_character_is_its_own_fold),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_room_is_judged_as_names_are),
        cmocka_unit_test(test_a_room_is_not_fair_by_an_invisible_sign_between_two_marks),
        cmocka_unit_test(test_ascii_folds_alone_as_it_does_beside_other_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
