/* lookalikes: writes common/protocol/lookalike_table.h to standard output, from the confusables of
 * Unicode (UTS #39) as ICU has them. Not part of the build; for a newer Unicode:
 *
 *   cc -o /tmp/lookalikes cmake/lookalikes.c -licui18n -licuuc
 *   /tmp/lookalikes >common/protocol/lookalike_table.h && clang-format -i
 * common/protocol/lookalike_table.h
 *
 * A row is a code point and the one it counts as. It is a code point of a folded name: one that
 * NFKC_Casefold leaves alone, letter, number, punctuation or symbol. It counts as what it looks
 * like, or, where that is nothing else, as what its capital looks like (Cyrillic "В" for "B").
 * ASCII counts as itself. Of others that look alike, one that many people write stands for all: no
 * row makes a text longer. What looks like several characters (Cyrillic "ӕ" like "ae") counts as
 * another that looks like the same ones, if there is one. Marks have no row, and neither have the
 * scripts of which few letters look like those of another. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/uspoof.h>
#include <unicode/ustring.h>

enum { CODES = 0x110000, TEXT_UNITS = 64 };

static const UNormalizer2 *fold;
static const UNormalizer2 *decompose;
static USpoofChecker *checker;

static void must(UErrorCode error)
{
    if (U_SUCCESS(error))
        return;
    fprintf(stderr, "lookalikes: %s\n", u_errorName(error));
    exit(1);
}

/* The only code point of a text; -1 when there are more, or none. */
static UChar32 only_code(const UChar *text, int32_t len)
{
    UChar32 code = -1;
    int32_t at = 0;
    if (len > 0)
        U16_NEXT(text, at, len, code);
    return at == len ? code : -1;
}

static int32_t write_code(UChar32 code, UChar out[2])
{
    int32_t len = 0;
    U16_APPEND_UNSAFE(out, len, code);
    return len;
}

static UChar32 normalize(const UNormalizer2 *how, UChar32 code)
{
    UErrorCode error = U_ZERO_ERROR;
    UChar from[2];
    UChar to[TEXT_UNITS];
    int32_t len = unorm2_normalize(how, from, write_code(code, from), to, TEXT_UNITS, &error);
    must(error);
    return only_code(to, len);
}

static bool is_of_script(UChar32 code)
{
    static const UScriptCode scripts[] = {
        USCRIPT_COMMON, USCRIPT_LATIN,    USCRIPT_GREEK,   USCRIPT_CYRILLIC, USCRIPT_ARMENIAN,
        USCRIPT_COPTIC, USCRIPT_CHEROKEE, USCRIPT_LISU,    USCRIPT_DESERET,  USCRIPT_GEORGIAN,
        USCRIPT_HAN,    USCRIPT_HIRAGANA, USCRIPT_KATAKANA};
    UErrorCode error = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript(code, &error);
    must(error);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (scripts[i] == script)
            return true;
    return false;
}

/* May it be a character of its own in a folded name, taken apart? */
static bool is_folded(UChar32 code)
{
    uint32_t kind = U_GET_GC_MASK(code);
    bool seen = (kind & (U_GC_L_MASK | U_GC_N_MASK | U_GC_P_MASK | U_GC_S_MASK)) != 0;
    return seen && code > ' ' && is_of_script(code) &&
           !u_hasBinaryProperty(code, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) &&
           normalize(fold, code) == code && normalize(decompose, code) == code;
}

/* Skeletons of several characters; the number of each is CODES and more. */
static struct skeleton {
    UChar text[TEXT_UNITS];
    int32_t len;
} skeletons[CODES];
static UChar32 skeleton_count;

static UChar32 number_skeleton(const UChar *text, int32_t len)
{
    UChar32 at = 0;
    while (at < skeleton_count &&
           (skeletons[at].len != len || u_memcmp(skeletons[at].text, text, len) != 0))
        at++;
    if (at == skeleton_count) {
        u_memcpy(skeletons[at].text, text, len);
        skeletons[at].len = len;
        skeleton_count++;
    }
    return CODES + at;
}

/* What it looks like: a character of a folded name, or the number of a skeleton. */
static UChar32 look(UChar32 code)
{
    enum {
        SMALL_PALOCHKA = 0x4cf
    }; /* a stroke; its skeleton is an i, and that of the capital an l */
    UErrorCode error = U_ZERO_ERROR;
    UChar from[2];
    UChar to[TEXT_UNITS];
    if (code == SMALL_PALOCHKA)
        return 'l';
    int32_t len =
        uspoof_getSkeleton(checker, 0, from, write_code(code, from), to, TEXT_UNITS, &error);
    must(error);
    UChar32 skeleton = only_code(to, len);
    return skeleton < 0 ? number_skeleton(to, len) : normalize(fold, skeleton);
}

/* The skeleton of a capital I is a small l, since a capital I looks like one. Names are compared
 * without their case, where it is an i. */
static UChar32 look_of_capital(UChar32 code)
{
    UChar32 capital = u_toupper(code);
    if (capital == code)
        return -1;
    UChar32 seen = look(capital);
    return seen == 'l' && code != 'l' ? 'i' : seen;
}

static UChar32 looks[CODES];
static UChar32 firsts[2 * CODES]; /* which of those that look so stands for all */

/* The smaller, the better it stands for others. */
static int rank(UChar32 code)
{
    if ((code >= 0x3b1 && code <= 0x3c9) || (code >= 0x430 && code <= 0x45f))
        return 0; /* the alphabets of Greek and Cyrillic */
    return u_isalpha(code) ? 1 : 2;
}

static bool stands_better(UChar32 code, UChar32 other)
{
    bool longer = U8_LENGTH(code) > U8_LENGTH(other);
    return other < 0 || (!longer && rank(code) < rank(other)) || U8_LENGTH(code) < U8_LENGTH(other);
}

static void find_looks(void)
{
    for (UChar32 code = 0; code < CODES; code++) {
        looks[code] = firsts[code] = firsts[CODES + code] = -1;
        if (is_folded(code))
            looks[code] = look(code);
    }
    for (UChar32 code = 0x80; code < CODES; code++)
        if (looks[code] >= 0 && stands_better(code, firsts[looks[code]]))
            firsts[looks[code]] = code;
}

static bool is_ascii(UChar32 code)
{
    return code > ' ' && code < 0x7f;
}

static UChar32 find_target(UChar32 code)
{
    UChar32 capital = look_of_capital(code);
    if (looks[code] < 0 && !is_ascii(capital))
        return -1;
    if (is_ascii(looks[code]))
        return looks[code];
    if (is_ascii(capital))
        return capital;
    return firsts[looks[code]];
}

/* A target may itself look, by its capital, like another. -1: the code point has no row. */
static UChar32 find_row(UChar32 code)
{
    UChar32 target = is_folded(code) ? find_target(code) : -1;
    UChar32 next = target < 0x80 ? -1 : find_target(target);
    target = next >= 0 ? next : target;
    return target == code ? -1 : target;
}

int main(void)
{
    UErrorCode error = U_ZERO_ERROR;
    fold = unorm2_getNFKCCasefoldInstance(&error);
    decompose = unorm2_getNFKDInstance(&error);
    checker = uspoof_open(&error);
    must(error);
    find_looks();
    printf(
        "/* lookalike_table: which characters count as which others in a folded name. Part of\n"
        " * `lookalike`. Written by cmake/lookalikes.c from the confusables of Unicode %s, which\n"
        " * are copyright 1991-2022 Unicode, Inc. (debian/copyright). */\n"
        "#ifndef YUKIZURI_PROTOCOL_LOOKALIKE_TABLE_H\n#define YUKIZURI_PROTOCOL_LOOKALIKE_TABLE_H\n"
        "\n#include <stdint.h>\n\n"
        "/* By `code`, in ascending order. */\n"
        "static const struct lookalike_row {\n    uint32_t code, target;\n} lookalike_rows[] = {\n",
        U_UNICODE_VERSION);
    for (UChar32 code = 0x80; code < CODES; code++)
        if (find_row(code) >= 0)
            printf("{0x%x, 0x%x}, ", code, find_row(code));
    puts("};\n\n#endif");
    return 0;
}
