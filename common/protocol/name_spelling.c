#include "protocol/name_spelling.h"

#include "protocol/unicode.h"

#include <stdbool.h>

enum {
    EMOJI_SHAPE = 0xfe0f,
    BLACK_FLAG = 0x1f3f4,
    TAG_END = 0xe007f,
};

/* --- What is neither letter nor sign, and stands where Unicode wants it --- */

static bool is_letter(int32_t code)
{
    return unicode_kind(code) == UNICODE_LETTER;
}

static bool is_skin_tone(int32_t code)
{
    return code >= 0x1f3fb && code <= 0x1f3ff;
}

/* emoji_zwj_sequence: the joiner is between two elements, of which each is a pictograph that may
 * have a skin tone or a selector behind it (UTS #51, ED-15a and ED-16). */
static bool joins_emoji(const int32_t *codes, size_t count, size_t at)
{
    size_t before = at;
    while (before > 0 && (codes[before - 1] == EMOJI_SHAPE || is_skin_tone(codes[before - 1])))
        before--;
    return before > 0 && unicode_is_pictograph(codes[before - 1]) && at + 1 < count &&
           unicode_is_pictograph(codes[at + 1]);
}

/* RFC 5892, A.1, with the script in place of the Joining_Type: a joiner behind a letter that does
 * not join to the left changes nothing, and nothing hangs on it, as it is not compared. */
static bool parts_cursive_letters(const int32_t *codes, size_t count, size_t at)
{
    size_t before = at;
    while (before > 0 && unicode_is_mark(codes[before - 1]))
        before--;
    return before > 0 && is_letter(codes[before - 1]) && unicode_is_cursive(codes[before - 1]) &&
           at + 1 < count && is_letter(codes[at + 1]) && unicode_is_cursive(codes[at + 1]);
}

/* Bengali and Kannada write RA, ZWJ, virama; Sinhala letters touch so (The Unicode Standard, 12).
 */
static bool keeps_letter_from_virama(const int32_t *codes, size_t count, size_t at)
{
    return is_letter(codes[at - 1]) && at + 1 < count && unicode_is_virama(codes[at + 1]);
}

static bool is_fair_joiner(const int32_t *codes, size_t count, size_t at)
{
    if (at == 0)
        return false;
    if (unicode_is_virama(codes[at - 1]))
        return true;
    if (codes[at] == UNICODE_ZWNJ)
        return parts_cursive_letters(codes, count, at);
    return joins_emoji(codes, count, at) || keeps_letter_from_virama(codes, count, at);
}

static bool is_region_tag(int32_t code)
{
    return (code >= 0xe0030 && code <= 0xe0039) || (code >= 0xe0061 && code <= 0xe007a);
}

/* A flag, the 3 to 7 letters and digits of a unicode_subdivision_id (UTS #35), the end. */
static bool is_fair_tag(const int32_t *codes, size_t count, size_t at)
{
    if (at == 0)
        return false;
    int32_t before = codes[at - 1];
    if (unicode_kind(before) == UNICODE_TAG && before != TAG_END)
        return true; /* judged with the first of them */
    size_t end = at;
    while (end < count && is_region_tag(codes[end]))
        end++;
    return before == BLACK_FLAG && end - at >= 3 && end - at <= 7 && end < count &&
           codes[end] == TAG_END;
}

/* A selector behind another one, or behind a space, selects nothing. */
static bool is_fair_variation(const int32_t *codes, size_t at)
{
    return at > 0 && (unicode_is_mark(codes[at - 1]) || is_letter(codes[at - 1]) ||
                      unicode_kind(codes[at - 1]) == UNICODE_SIGN);
}

static enum name_error judge_code(const int32_t *codes, size_t count, size_t at)
{
    bool fair = false;
    switch (unicode_kind(codes[at])) {
    case UNICODE_SPACE:
    case UNICODE_LETTER:
    case UNICODE_SIGN:
        fair = true;
        break;
    case UNICODE_MARK:
    case UNICODE_SPACING_MARK:
        return at == 0 ? NAME_BLANK : NAME_OK;
    case UNICODE_JOINER:
        fair = is_fair_joiner(codes, count, at);
        break;
    case UNICODE_VARIATION:
        fair = is_fair_variation(codes, at);
        break;
    case UNICODE_TAG:
        fair = is_fair_tag(codes, count, at);
        break;
    case UNICODE_UNSEEN:
        break;
    }
    return fair ? NAME_OK : NAME_BAD_CHARACTER;
}

/* --- What stands on one letter --- */

struct stack {
    size_t marks; /* nonspacing ones, since the last letter */
    int32_t mark; /* the last of them */
    size_t codes; /* since the last break */
    int32_t state;
    size_t graphemes;
    bool seen;
};

/* Returns false when it is too much. */
static bool put_mark(struct stack *stack, int32_t code)
{
    bool same = stack->marks > 0 && stack->mark == code;
    stack->mark = code;
    return ++stack->marks <= NAME_MARKS && !same;
}

static bool put(struct stack *stack, const int32_t *codes, size_t at)
{
    enum unicode_kind kind = unicode_kind(codes[at]);
    bool starts = kind == UNICODE_LETTER || kind == UNICODE_SIGN;
    stack->seen = stack->seen || starts;
    if (starts || kind == UNICODE_SPACE)
        stack->marks = 0;
    if (at == 0 || unicode_is_break(codes[at - 1], codes[at], &stack->state)) {
        stack->codes = 0;
        stack->graphemes++;
    }
    if (++stack->codes > NAME_GRAPHEME_CODES)
        return false;
    return kind != UNICODE_MARK || put_mark(stack, codes[at]);
}

enum name_error name_judge_spelling(const int32_t *codes, size_t count, size_t *graphemes)
{
    struct stack stack = {0};
    for (size_t i = 0; i < count; i++) {
        enum name_error error = judge_code(codes, count, i);
        if (error != NAME_OK)
            return error;
        if (!put(&stack, codes, i))
            return NAME_CROWDED;
    }
    if (count == 0)
        return NAME_EMPTY;
    *graphemes = stack.graphemes;
    return stack.seen ? NAME_OK : NAME_BLANK;
}
