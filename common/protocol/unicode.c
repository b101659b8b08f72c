#include "protocol/unicode.h"

#include <string.h>
#include <utf8proc.h>

int unicode_decompose(const char *text, size_t len, enum unicode_form form, int32_t *codes,
                      size_t most)
{
    int options = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE;
    if (form >= UNICODE_VISIBLE)
        options |= UTF8PROC_IGNORE;
    if (form >= UNICODE_CASELESS)
        options |= UTF8PROC_CASEFOLD;
    utf8proc_ssize_t count =
        utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, codes,
                           (utf8proc_ssize_t)most, (utf8proc_option_t)options);
    if (count > (utf8proc_ssize_t)most || count == UTF8PROC_ERROR_OVERFLOW)
        return UNICODE_TOO_LONG;
    return count < 0 ? UNICODE_BAD_UTF8 : (int)count;
}

int unicode_compose(int32_t *codes, size_t count, char *out, size_t size)
{
    utf8proc_ssize_t left = utf8proc_normalize_utf32(codes, (utf8proc_ssize_t)count,
                                                     UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    size_t len = 0;
    for (utf8proc_ssize_t i = 0; i < left; i++) {
        utf8proc_uint8_t bytes[4];
        size_t more = (size_t)utf8proc_encode_char(codes[i], bytes);
        if (more >= size - len)
            return UNICODE_TOO_LONG;
        memcpy(out + len, bytes, more);
        len += more;
    }
    out[len] = '\0';
    return (int)len;
}

/* No format character, but without ink. U+2800 and U+1D159 are all that has an empty outline in the
 * Noto fonts of 2020 and is not Default_Ignorable (but for two viramas); U+13441, U+13442 and
 * U+16FE4 are blank by their names; U+FFFC stands for something that is not there. */
static bool is_blank_sign(int32_t code)
{
    return code == 0x2800 || code == 0xfffc || code == 0x13441 || code == 0x13442 ||
           code == 0x16fe4 || code == 0x1d159;
}

static bool is_variation(int32_t code)
{
    return (code >= 0xfe00 && code <= 0xfe0f) || (code >= 0xe0100 && code <= 0xe01ef) ||
           (code >= 0x180b && code <= 0x180d) || code == 0x180f;
}

static enum unicode_kind kind_of_ignorable(int32_t code)
{
    if (code == UNICODE_ZWNJ || code == UNICODE_ZWJ)
        return UNICODE_JOINER;
    if (is_variation(code))
        return UNICODE_VARIATION;
    return code >= 0xe0020 && code <= 0xe007f ? UNICODE_TAG : UNICODE_UNSEEN;
}

enum unicode_kind unicode_kind(int32_t code)
{
    const utf8proc_property_t *property = utf8proc_get_property(code);
    if (property->ignorable)
        return kind_of_ignorable(code);
    if (is_blank_sign(code))
        return UNICODE_UNSEEN;
    utf8proc_category_t category = (utf8proc_category_t)property->category;
    if (category == UTF8PROC_CATEGORY_MC)
        return UNICODE_SPACING_MARK;
    if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME)
        return UNICODE_MARK;
    if (category == UTF8PROC_CATEGORY_ZS)
        return UNICODE_SPACE;
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO)
        return UNICODE_LETTER;
    bool sign = category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_SO;
    return sign ? UNICODE_SIGN : UNICODE_UNSEEN;
}

bool unicode_is_mark(int32_t code)
{
    enum unicode_kind kind = unicode_kind(code);
    return kind == UNICODE_MARK || kind == UNICODE_SPACING_MARK;
}

bool unicode_is_space(int32_t code)
{
    return (code >= 0x09 && code <= 0x0d) || code == 0x85 || code == 0x2028 || code == 0x2029 ||
           utf8proc_category(code) == UTF8PROC_CATEGORY_ZS;
}

bool unicode_is_virama(int32_t code)
{
    return utf8proc_get_property(code)->combining_class == 9;
}

bool unicode_is_mark_above(int32_t code)
{
    return utf8proc_get_property(code)->combining_class == 230;
}

bool unicode_is_mark_elsewhere(int32_t code)
{
    return utf8proc_get_property(code)->combining_class != 0 && !unicode_is_mark_above(code);
}

/* All that NFKD leaves of the 50 in PropList.txt of Unicode 15.0; utf8proc does not know that
 * property. */
bool unicode_is_soft_dotted(int32_t code)
{
    static const int32_t letters[] = {'i',    'j',    0x0249, 0x0268, 0x029d,
                                      0x03f3, 0x0456, 0x0458, 0x1d96, 0x1df1a};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (code == letters[i])
            return true;
    return false;
}

int32_t unicode_with_dot(int32_t code)
{
    static const int32_t dotless_i = 0x0131;
    static const int32_t dotless_j = 0x0237;
    if (code == dotless_i)
        return 'i';
    return code == dotless_j ? 'j' : code;
}

/* From the first to the last letter with a Joining_Type of D, L or R in each script that has them
 * (DerivedJoiningType.txt of Unicode 15.0); utf8proc does not know that property. */
bool unicode_is_cursive(int32_t code)
{
    static const struct {
        int32_t first, last;
    } scripts[] = {
        {0x0620, 0x077f},   /* Arabic, Syriac */
        {0x07ca, 0x07ea},   /* NKo */
        {0x0840, 0x08c8},   /* Mandaic, Syriac and Arabic */
        {0x1807, 0x18aa},   /* Mongolian */
        {0xa840, 0xa872},   /* Phags-pa */
        {0x10ac0, 0x10aef}, /* Manichaean */
        {0x10b80, 0x10bae}, /* Psalter Pahlavi */
        {0x10d00, 0x10d23}, /* Hanifi Rohingya */
        {0x10f30, 0x10f54}, /* Sogdian */
        {0x10f70, 0x10f81}, /* Old Uyghur */
        {0x10fb0, 0x10fcb}, /* Chorasmian */
        {0x1e900, 0x1e943}, /* Adlam */
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (code >= scripts[i].first && code <= scripts[i].last)
            return true;
    return false;
}

bool unicode_is_pictograph(int32_t code)
{
    return utf8proc_get_property(code)->boundclass == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;
}

bool unicode_is_break(int32_t before, int32_t after, int32_t *state)
{
    return utf8proc_grapheme_break_stateful(before, after, state);
}

static const char *next_code(const char *at, int32_t *code)
{
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, code);
    return at + (used > 0 ? used : 1);
}

size_t unicode_beginning(const char *text, size_t graphemes, size_t bytes)
{
    int32_t previous = 0;
    int32_t state = 0;
    size_t count = 0;
    size_t fits = 0;
    const char *at = text;
    while (*at != '\0') {
        int32_t code;
        const char *next = next_code(at, &code);
        bool starts = count == 0 || unicode_is_break(previous, code, &state);
        if (starts)
            fits = (size_t)(at - text);
        if (starts && count++ == graphemes)
            return fits;
        if ((size_t)(next - text) > bytes)
            return fits;
        previous = code;
        at = next;
    }
    return (size_t)(at - text);
}

size_t unicode_count(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((uint8_t)text[i] & 0xc0) != 0x80;
    return count;
}

/* What is private or not assigned yet may well have a shape where it is read. */
static bool has_no_ink(int32_t code)
{
    return unicode_is_space(code) || is_blank_sign(code) ||
           utf8proc_get_property(code)->ignorable ||
           utf8proc_category(code) == UTF8PROC_CATEGORY_CC;
}

bool unicode_is_blank(const char *text)
{
    while (*text != '\0') {
        int32_t code;
        text = next_code(text, &code);
        if (!has_no_ink(code))
            return false;
    }
    return true;
}
