#include "protocol/name.h"

#include "protocol/lookalike.h"
#include "protocol/name_spelling.h"
#include "protocol/unicode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    ROOM_CHARACTERS = 32,
    MOST_DIGITS = 3,
    MOST_INPUT_BYTES = NAME_BYTES * 4,
    MOST_CODES = MOST_INPUT_BYTES, /* more do not compose to NAME_BYTES, or are white space */

    NO_BREAK_SPACE = 0xa0,
    DOT_ABOVE = 0x0307,
};

/* Returns how many code points, or a name_error. */
static int decompose(const char *text, size_t len, enum unicode_form form, int32_t *codes)
{
    if (memchr(text, '\0', len) != NULL)
        return NAME_BAD_CHARACTER;
    if (len > MOST_INPUT_BYTES)
        return NAME_TOO_LONG;
    int count = unicode_decompose(text, len, form, codes, MOST_CODES);
    if (count == UNICODE_TOO_LONG)
        return NAME_TOO_LONG;
    return count < 0 ? NAME_BAD_UTF8 : count;
}

/* --- Nicknames --- */

/* Makes one space of a run, and none at both ends. A space that carries a mark (NFKC makes that of
 * the free-standing accents) becomes one that no page takes away (The Unicode Standard, 2.11). */
static size_t tidy_spaces(int32_t *codes, size_t count)
{
    size_t kept = 0;
    bool spaced = false;
    while (count > 0 && unicode_is_space(codes[count - 1]))
        count--;
    for (size_t i = 0; i < count; i++) {
        bool at_start = kept == 0 && unicode_is_space(codes[i]);
        if (at_start || unicode_kind(codes[i]) == UNICODE_SPACE) {
            spaced = true;
            continue;
        }
        bool carries = unicode_is_mark(codes[i]);
        if (spaced && (carries || kept > 0))
            codes[kept++] = carries ? NO_BREAK_SPACE : ' ';
        spaced = false;
        codes[kept++] = codes[i];
    }
    return kept;
}

/* The letter that a mark above stands on with nothing between them: marks below and beside come
 * before it in canonical order. Returns `count` when there is none. */
static size_t find_letter_below(const int32_t *codes, size_t count)
{
    size_t at = count;
    while (at > 0 && unicode_is_mark_elsewhere(codes[at - 1]))
        at--;
    return at > 0 ? at - 1 : count;
}

/* A letter that has a dot loses it below a mark, and a dot is that mark again (Soft_Dotted: The
 * Unicode Standard, 3.13 and 7.1). So a second dot, and a dot that was wanting, are not seen.
 * Capital I with a dot folds to a small one with two. */
static size_t merge_dots(int32_t *codes, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = unicode_is_mark_above(codes[i]) ? find_letter_below(codes, kept) : kept;
        if (at < kept)
            codes[at] = unicode_with_dot(codes[at]);
        if (at == kept || codes[i] != DOT_ABOVE || !unicode_is_soft_dotted(codes[at]))
            codes[kept++] = codes[i];
    }
    return kept;
}

/* What looks alike counts as one. (Marks stay: none of them is in the table.) */
static void merge_lookalikes(int32_t *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        codes[i] = lookalike_of(codes[i]);
}

static enum name_error fold(struct name *name)
{
    int32_t codes[MOST_CODES];
    char text[NAME_BYTES];
    memcpy(text, name->shown, strlen(name->shown) + 1);
    lookalike_replace_capitals(text);
    int count = decompose(text, strlen(text), UNICODE_CASELESS, codes);
    if (count < 0)
        return (enum name_error)count;
    merge_lookalikes(codes, (size_t)count);
    size_t kept = merge_dots(codes, tidy_spaces(codes, (size_t)count));
    int len = unicode_compose(codes, kept, name->folded, sizeof name->folded);
    return len < 0 ? NAME_TOO_LONG : NAME_OK;
}

enum name_error name_judge(const char *text, size_t len, struct name *out)
{
    int32_t codes[MOST_CODES];
    struct name name = {0};
    size_t graphemes = 0;
    int count = decompose(text, len, UNICODE_COMPATIBLE, codes);
    if (count < 0)
        return (enum name_error)count;
    size_t kept = tidy_spaces(codes, (size_t)count);
    enum name_error error = name_judge_spelling(codes, kept, &graphemes);
    if (error == NAME_OK && graphemes > NAME_GRAPHEMES)
        error = NAME_TOO_LONG;
    if (error == NAME_OK && unicode_compose(codes, kept, name.shown, sizeof name.shown) < 0)
        error = NAME_TOO_LONG;
    if (error == NAME_OK)
        error = fold(&name);
    if (error == NAME_OK)
        *out = name;
    return error;
}

/* --- Rooms --- */

static bool is_room_character(int32_t code)
{
    switch (unicode_kind(code)) {
    case UNICODE_LETTER:
    case UNICODE_MARK:
    case UNICODE_SPACING_MARK:
    case UNICODE_JOINER:
    case UNICODE_VARIATION:
        return true;
    default:
        return code == '-' || code == '_' || code == '.';
    }
}

static enum name_error judge_room_codes(const char *text, size_t len)
{
    int32_t codes[MOST_CODES];
    size_t graphemes;
    int count = decompose(text, len, UNICODE_COMPATIBLE, codes);
    if (count < 0)
        return (enum name_error)count;
    for (int i = 0; i < count; i++)
        if (!is_room_character(codes[i]))
            return NAME_BAD_CHARACTER;
    return name_judge_spelling(codes, (size_t)count, &graphemes);
}

/* What is left of it is judged as well: where an invisible sign stood between two marks, they may
 * be one too many now. */
enum name_error name_judge_room(const char *text, size_t len, char out[NAME_BYTES])
{
    int32_t codes[MOST_CODES];
    char room[NAME_BYTES];
    size_t graphemes;
    enum name_error error = judge_room_codes(text, len);
    if (error != NAME_OK)
        return error;
    int count = decompose(text, len, UNICODE_VISIBLE, codes);
    if (count < 0)
        return (enum name_error)count;
    size_t kept = merge_dots(codes, (size_t)count);
    error = name_judge_spelling(codes, kept, &graphemes);
    if (error != NAME_OK)
        return error;
    if (unicode_compose(codes, kept, room, sizeof room) < 0 ||
        unicode_count(room, strlen(room)) > ROOM_CHARACTERS)
        return NAME_TOO_LONG;
    memcpy(out, room, strlen(room) + 1);
    return NAME_OK;
}

/* --- Sentences, numbers --- */

const char *name_error_text(enum name_error error)
{
    switch (error) {
    case NAME_OK:
        return "The name is fine.";
    case NAME_EMPTY:
        return "Please choose a name of 1 to 16 characters.";
    case NAME_TOO_LONG:
        return "That name is too long: please choose one of at most 16 characters (fewer, where "
               "each is put together from many).";
    case NAME_BAD_CHARACTER:
        return "That name has a character that cannot be seen; please choose another.";
    case NAME_BAD_UTF8:
        return "That name is not valid text; please choose another.";
    case NAME_BLANK:
        return "A name needs a letter or a sign that can be seen, and a mark needs one to stand "
               "on; please choose another.";
    case NAME_CROWDED:
        return "That name has too many marks on one letter (at most 4, and none twice in a row); "
               "please choose another.";
    }
    return "Please choose another name.";
}

/* Behind a digit ZWNJ has no place. */
static size_t without_joiner(const char *text, size_t len)
{
    static const char joiner[] = "\xe2\x80\x8c";
    bool ends = len >= 3 && memcmp(text + len - 3, joiner, 3) == 0;
    return ends ? len - 3 : len;
}

/* Makes `out` of so many graphemes and a number of most digits, if that is a fair name. */
static bool add_most_digits(const struct name *name, size_t graphemes, struct name *out)
{
    char text[NAME_BYTES + MOST_DIGITS];
    size_t keep = unicode_beginning(name->shown, graphemes, NAME_BYTES - 1 - MOST_DIGITS);
    keep = without_joiner(name->shown, keep);
    int len = snprintf(text, sizeof text, "%.*s999", (int)keep, name->shown);
    return name_judge(text, (size_t)len, out) == NAME_OK;
}

/* Shortens the name until every number can stand after it; that may leave nothing. Folding can make
 * a name longer than it is shown, so whether one fits is not known from what is shown. */
static void make_room_for_number(const struct name *name, struct name *out)
{
    size_t graphemes = NAME_GRAPHEMES - MOST_DIGITS;
    while (!add_most_digits(name, graphemes, out))
        graphemes--;
    out->shown[strlen(out->shown) - MOST_DIGITS] = '\0';
    out->folded[strlen(out->folded) - MOST_DIGITS] = '\0';
}

void name_with_number(const struct name *name, unsigned number, struct name *out)
{
    char digits[MOST_DIGITS + 1];
    struct name base;
    make_room_for_number(name, &base);
    snprintf(digits, sizeof digits, "%u", number % 1000); /* there is room for no more */
    memcpy(base.shown + strlen(base.shown), digits, strlen(digits) + 1);
    memcpy(base.folded + strlen(base.folded), digits, strlen(digits) + 1);
    *out = base;
}

void name_number_base(const struct name *name, char out[NAME_BYTES])
{
    struct name base = *name;
    if (strlen(name->shown) > NAME_GRAPHEMES - MOST_DIGITS)
        make_room_for_number(name, &base);
    memcpy(out, base.folded, strlen(base.folded) + 1);
}
