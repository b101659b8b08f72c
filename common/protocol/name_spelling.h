/* name_spelling: which code points may stand beside which in a name, and how many on one letter.
 * Length, spaces and what makes two names the same are judged in name. */
#ifndef YUKIZURI_PROTOCOL_NAME_SPELLING_H
#define YUKIZURI_PROTOCOL_NAME_SPELLING_H

#include <stddef.h>
#include <stdint.h>

enum {
    NAME_GRAPHEME_CODES = 12, /* of one: two people with skin tones who kiss take 10 */
    NAME_MARKS = 4,           /* nonspacing ones on a letter */
};

enum name_error {
    NAME_OK = 0,
    NAME_EMPTY = -1,
    NAME_TOO_LONG = -2,
    NAME_BAD_CHARACTER = -3,
    NAME_BAD_UTF8 = -4,
    NAME_BLANK = -5,   /* nothing to be seen, or a mark on nothing */
    NAME_CROWDED = -6, /* too much on one letter */
};

/* Judges decomposed text (so that no mark hides in a letter) whose spaces are tidy. NAME_OK fills
 * `graphemes` (UAX #29). */
enum name_error name_judge_spelling(const int32_t *codes, size_t count, size_t *graphemes);

#endif
