/* unicode: text as code points, and what the Unicode Character Database (of utf8proc; 15.0
 * with 2.8) says of each. The only user of utf8proc. What makes a fair name is not judged here
 * (name). */
#ifndef YUKIZURI_PROTOCOL_UNICODE_H
#define YUKIZURI_PROTOCOL_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UNICODE_BAD_UTF8 = -1,
    UNICODE_TOO_LONG = -2,
};

enum {
    UNICODE_ZWNJ = 0x200c,
    UNICODE_ZWJ = 0x200d,
};

/* How much is taken away when text is decomposed. Each takes away what the one above it does. */
enum unicode_form {
    UNICODE_COMPATIBLE, /* NFKD (UAX #15) */
    UNICODE_VISIBLE,    /* Default_Ignorable_Code_Points too */
    UNICODE_CASELESS,   /* the case too: composed, it is NFKC_Casefold (UAX #44) */
};

enum unicode_kind {
    UNICODE_UNSEEN, /* control, format, filler, blank sign, private or unassigned */
    UNICODE_SPACE,  /* no control or line separator */
    UNICODE_LETTER, /* or number */
    UNICODE_SIGN,   /* punctuation or symbol */
    UNICODE_MARK,   /* takes no place of its own: nonspacing or enclosing */
    UNICODE_SPACING_MARK,
    UNICODE_JOINER,    /* ZWNJ, ZWJ */
    UNICODE_VARIATION, /* selects another shape of what stands before it */
    UNICODE_TAG,       /* U+E0020 to U+E007F */
};

/* Fills `codes`, at most `most`. Returns how many, or an error; then `codes` holds nothing of use.
 */
int unicode_decompose(const char *text, size_t len, enum unicode_form form, int32_t *codes,
                      size_t most);

/* Composes `codes` (which come from unicode_decompose, and are overwritten) and writes them to
 * `out` as UTF-8 with a NUL. Returns the length in bytes, or UNICODE_TOO_LONG: `out` is not a
 * string then. */
int unicode_compose(int32_t *codes, size_t count, char *out, size_t size);

enum unicode_kind unicode_kind(int32_t code);

/* Of either kind. */
bool unicode_is_mark(int32_t code);

/* White_Space, of which some are controls and separators of lines. */
bool unicode_is_space(int32_t code);

/* A mark that suppresses a vowel or makes letters one (Canonical_Combining_Class 9). */
bool unicode_is_virama(int32_t code);

/* Stands it above its letter, in the middle (Canonical_Combining_Class 230)? */
bool unicode_is_mark_above(int32_t code);

/* Has it a place of its own at its letter, and not the one above (any other class but 0)? */
bool unicode_is_mark_elsewhere(int32_t code);

/* A letter whose dot gives way to a mark above it (Soft_Dotted). `code` is from unicode_decompose.
 */
bool unicode_is_soft_dotted(int32_t code);

/* Of a dotless i or j the dotted one, which looks the same below a mark; else `code` itself. */
int32_t unicode_with_dot(int32_t code);

/* Has it shapes that join those of its neighbours, or may it be in a script of such letters? */
bool unicode_is_cursive(int32_t code);

/* Extended_Pictographic (UTS #51). */
bool unicode_is_pictograph(int32_t code);

/* Does another grapheme begin between the two (UAX #29)? `state` is 0 at the beginning of a text.
 */
bool unicode_is_break(int32_t before, int32_t after, int32_t *state);

/* The bytes of the longest beginning of `text` (good UTF-8) of at most so many graphemes and bytes.
 */
size_t unicode_beginning(const char *text, size_t graphemes, size_t bytes);

/* How many code points are in good UTF-8. */
size_t unicode_count(const char *text, size_t len);

/* Is there nothing in `text` (UTF-8) that could be seen? */
bool unicode_is_blank(const char *text);

#endif
