/* name: is this a fair nickname or room name. The only user of utf8proc.
 *
 * A nickname is 1 to 16 graphemes (UAX #29) after NFKC, of any script, without control characters,
 * bidi overrides or zero-width characters. Two nicknames are the same when their folded forms
 * (NFKC_Casefold, UAX #44) are. */
#ifndef YUKIZURI_NAME_H
#define YUKIZURI_NAME_H

#include <stddef.h>

enum {
    NAME_GRAPHEMES = 16,
    NAME_BYTES = 128, /* of one spelling, with the NUL: also bounds stacked combining marks */
};

enum name_error {
    NAME_OK = 0,
    NAME_EMPTY = -1,
    NAME_TOO_LONG = -2,
    NAME_BAD_CHARACTER = -3,
    NAME_BAD_UTF8 = -4,
};

struct name {
    char shown[NAME_BYTES];  /* NFKC, trimmed: what people see */
    char folded[NAME_BYTES]; /* what is compared, and the last part of the member's key */
};

/* Judges a nickname. NAME_OK fills `out`; on an error `out` is untouched. */
enum name_error name_judge(const char *text, size_t len, struct name *out);

/* Judges a room name: 1 to 32 letters, marks, digits, '-', '_' or '.' of any script after NFKC
 * (so it can stand in a path, and between the braces of a Redis key). Not folded. */
enum name_error name_judge_room(const char *text, size_t len, char out[NAME_BYTES]);

/* A sentence for people. */
const char *name_error_text(enum name_error error);

/* The name with `number` (1 to 999) after it, shortened by the same measure whatever the number, so
 * that it stays within the limits. */
void name_with_number(const struct name *name, unsigned number, struct name *out);

/* The folded name without the number that name_with_number puts after it. */
void name_number_base(const struct name *name, char out[NAME_BYTES]);

#endif
