/* name: is this a fair nickname or room name.
 *
 * A nickname is 1 to 16 graphemes (UAX #29) of any script after NFKC, and one of them is a letter
 * or a sign that can be seen. A run of white space is one space, as in a page, and none at both
 * ends. At most four nonspacing marks stand on a letter, no two of them the same in a row (UTS
 * #39, 5.4). What draws nothing has no place in it, with three exceptions where Unicode wants it:
 * variation selectors; ZWJ and ZWNJ in the sequences of emoji (UTS #51), beside a virama and
 * between letters of scripts that join them (RFC 5892, A.1 and A.2; UAX #31, 2.3); tags in the
 * flags of regions.
 *
 * Two nicknames are the same when their folded forms are: NFKC_Casefold (UAX #44), so that what
 * draws nothing makes no difference, nor a dot on a letter that has one, nor a dot that is wanting
 * below another mark; and of the letters and signs that look alike one stands for all (UTS #39,
 * lookalike). ASCII stands for itself, so that I and l, and O and 0, remain two. */
#ifndef YUKIZURI_PROTOCOL_NAME_H
#define YUKIZURI_PROTOCOL_NAME_H

#include "protocol/name_spelling.h"

enum {
    NAME_GRAPHEMES = 16,
    NAME_BYTES = 192, /* of one spelling, with the NUL: twelve a grapheme; a flag takes 8 */
};

struct name {
    char shown[NAME_BYTES];  /* NFKC (but no-break space below a mark), trimmed: what people see */
    char folded[NAME_BYTES]; /* what is compared, and the last part of the member's key */
};

/* Judges a nickname. NAME_OK fills `out`; on an error `out` is untouched. */
enum name_error name_judge(const char *text, size_t len, struct name *out);

/* Judges a room name: 1 to 32 letters, marks, digits, '-', '_' or '.' of any script after NFKC
 * (so it can stand in a path, and between the braces of a Redis key), under the rules for
 * nicknames. What draws nothing is left out of it, and dots are as in a folded name, so that no two
 * rooms look the same for that. The case stays. */
#define NAME_ROOM_RULE "1 to 32 letters, digits, '-', '_' or '.', in any script"
enum name_error name_judge_room(const char *text, size_t len, char out[NAME_BYTES]);

/* A sentence for people. */
const char *name_error_text(enum name_error error);

/* The name with `number` (1 to 999) after it: a fair name, folded as name_judge folds it. It is
 * shortened by the same measure whatever the number, to nothing if need be. `out` may be `name`. */
void name_with_number(const struct name *name, unsigned number, struct name *out);

/* The folded name without the number that name_with_number puts after it; may be empty. */
void name_number_base(const struct name *name, char out[NAME_BYTES]);

#endif
