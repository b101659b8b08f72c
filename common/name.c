#include "name.h"

#include "memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { ROOM_CHARACTERS = 32, MOST_DIGITS = 3 };

/* ASCII is its own normal form (UAX #15), and capitals alone fold. Most names are ASCII, and a
 * storm of people is a storm of names. */
static char *map_ascii(const char *text, size_t len, utf8proc_option_t options)
{
    char *out = memory_new(len + 1);
    for (size_t i = 0; i < len; i++) {
        bool folds = (options & UTF8PROC_CASEFOLD) != 0 && text[i] >= 'A' && text[i] <= 'Z';
        out[i] = folds ? (char)(text[i] + ('a' - 'A')) : text[i];
    }
    return out;
}

/* Each is a grapheme by itself: CR LF, the only pair, is refused. */
static enum name_error scan_ascii(const char *text, size_t *graphemes)
{
    size_t count = 0;
    for (; text[count] != '\0'; count++)
        if (text[count] < ' ' || text[count] == 0x7f)
            return NAME_BAD_CHARACTER;
    *graphemes = count;
    return NAME_OK;
}

static bool is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] >= 0x80)
            return false;
    return true;
}

static char *map(const char *text, size_t len, utf8proc_option_t options)
{
    if (is_ascii(text, len))
        return map_ascii(text, len, options);
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t done = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len,
                                         &out, options | UTF8PROC_STABLE);
    return done < 0 ? NULL : (char *)out;
}

static const char *next_codepoint(const char *at, utf8proc_int32_t *code)
{
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, code);
    return used > 0 ? at + used : NULL;
}

/* Letters that draw nothing: they would make two names look the same, or one look empty. */
static bool draws_nothing(utf8proc_int32_t code)
{
    return code == 0x034f || code == 0x115f || code == 0x1160 || code == 0x17b4 || code == 0x17b5 ||
           code == 0x2800 || code == 0x3164 || code == 0xffa0 || (code >= 0x180b && code <= 0x180f);
}

static bool is_fair(utf8proc_int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC: /* control */
    case UTF8PROC_CATEGORY_CF: /* format: bidi overrides, zero-width */
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return !draws_nothing(code);
    }
}

static bool is_room_character(utf8proc_int32_t code)
{
    utf8proc_category_t category = utf8proc_category(code);
    bool word = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO);
    return is_fair(code) && (word || code == '-' || code == '_' || code == '.');
}

static void trim(char *text)
{
    size_t len = strlen(text);
    size_t start = strspn(text, " \t\n\v\f\r");
    while (len > start && strchr(" \t\n\v\f\r", text[len - 1]) != NULL)
        len--;
    memmove(text, text + start, len - start);
    text[len - start] = '\0';
}

/* Counts graphemes; stops at the first unfair character. */
static enum name_error scan(const char *text, size_t *graphemes)
{
    utf8proc_int32_t previous = 0;
    utf8proc_int32_t state = 0;
    size_t count = 0;
    while (*text != '\0') {
        utf8proc_int32_t code;
        text = next_codepoint(text, &code);
        if (text == NULL)
            return NAME_BAD_UTF8;
        if (!is_fair(code))
            return NAME_BAD_CHARACTER;
        if (count == 0 || utf8proc_grapheme_break_stateful(previous, code, &state))
            count++;
        previous = code;
    }
    *graphemes = count;
    return NAME_OK;
}

static enum name_error judge_normal(const char *shown)
{
    size_t graphemes = 0;
    bool ascii = is_ascii(shown, strlen(shown));
    enum name_error error = ascii ? scan_ascii(shown, &graphemes) : scan(shown, &graphemes);
    if (error != NAME_OK)
        return error;
    if (graphemes == 0)
        return NAME_EMPTY;
    if (graphemes > NAME_GRAPHEMES || strlen(shown) >= NAME_BYTES)
        return NAME_TOO_LONG;
    return NAME_OK;
}

/* `text` has been trimmed and has no NUL inside. */
static enum name_error fold(const char *shown, struct name *out)
{
    char *folded = map(shown, strlen(shown),
                       UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    if (folded == NULL)
        return NAME_BAD_UTF8;
    enum name_error error = NAME_OK;
    if (folded[0] == '\0')
        error = NAME_BAD_CHARACTER;
    else if (strlen(folded) >= NAME_BYTES)
        error = NAME_TOO_LONG;
    if (error == NAME_OK) {
        struct name name = {0};
        memcpy(name.shown, shown, strlen(shown));
        memcpy(name.folded, folded, strlen(folded));
        *out = name;
    }
    free(folded);
    return error;
}

enum name_error name_judge(const char *text, size_t len, struct name *out)
{
    if (memchr(text, '\0', len) != NULL)
        return NAME_BAD_CHARACTER;
    if (len > (size_t)NAME_BYTES * 4)
        return NAME_TOO_LONG;
    char *shown = map(text, len, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    if (shown == NULL)
        return NAME_BAD_UTF8;
    trim(shown);
    enum name_error error = judge_normal(shown);
    if (error == NAME_OK)
        error = fold(shown, out);
    free(shown);
    return error;
}

static enum name_error judge_room_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; count++) {
        utf8proc_int32_t code;
        text = next_codepoint(text, &code);
        if (text == NULL)
            return NAME_BAD_UTF8;
        if (!is_room_character(code))
            return NAME_BAD_CHARACTER;
    }
    if (count == 0)
        return NAME_EMPTY;
    return count > ROOM_CHARACTERS ? NAME_TOO_LONG : NAME_OK;
}

enum name_error name_judge_room(const char *text, size_t len, char out[NAME_BYTES])
{
    if (memchr(text, '\0', len) != NULL)
        return NAME_BAD_CHARACTER;
    if (len > (size_t)NAME_BYTES * 4)
        return NAME_TOO_LONG;
    char *normal = map(text, len, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    if (normal == NULL)
        return NAME_BAD_UTF8;
    enum name_error error = judge_room_characters(normal);
    if (error == NAME_OK && strlen(normal) >= NAME_BYTES)
        error = NAME_TOO_LONG;
    if (error == NAME_OK)
        memcpy(out, normal, strlen(normal) + 1);
    free(normal);
    return error;
}

const char *name_error_text(enum name_error error)
{
    switch (error) {
    case NAME_OK:
        return "The name is fine.";
    case NAME_EMPTY:
        return "Please choose a name of 1 to 16 characters.";
    case NAME_TOO_LONG:
        return "That name is too long: please choose one of at most 16 characters.";
    case NAME_BAD_CHARACTER:
        return "That name has a character that cannot be seen; please choose another.";
    case NAME_BAD_UTF8:
        return "That name is not valid text; please choose another.";
    }
    return "Please choose another name.";
}

/* The longest beginning of `text` with at most `graphemes` graphemes and `bytes` bytes. */
static size_t beginning(const char *text, size_t graphemes, size_t bytes)
{
    utf8proc_int32_t previous = 0;
    utf8proc_int32_t state = 0;
    size_t count = 0;
    size_t fits = 0;
    const char *at = text;
    while (*at != '\0') {
        utf8proc_int32_t code;
        const char *next = next_codepoint(at, &code);
        bool starts = count == 0 || utf8proc_grapheme_break_stateful(previous, code, &state);
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

void name_with_number(const struct name *name, unsigned number, struct name *out)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%u", number);
    size_t keep = beginning(name->shown, NAME_GRAPHEMES - MOST_DIGITS, NAME_BYTES - sizeof digits);
    char text[NAME_BYTES + sizeof digits];
    snprintf(text, sizeof text, "%.*s%s", (int)keep, name->shown, digits);
    if (name_judge(text, strlen(text), out) != NAME_OK)
        *out = *name;
}

void name_number_base(const struct name *name, char out[NAME_BYTES])
{
    struct name numbered = *name;
    bool fits = strlen(name->shown) <= NAME_GRAPHEMES - MOST_DIGITS;
    if (!fits)
        name_with_number(name, 2, &numbered);
    size_t len = strlen(numbered.folded);
    memcpy(out, numbered.folded, len + 1);
    if (!fits && out[len - 1] == '2')
        out[len - 1] = '\0';
}
