/* What name.c and name_spelling.c share.
 *
 * name_spelling: which code points may stand beside which in a name, and how many on one letter.
 * Length, spaces and what makes two names the same are judged in name. */
#ifndef YUKIZURI_PROTOCOL_NAME_INTERNAL_H
#define YUKIZURI_PROTOCOL_NAME_INTERNAL_H

#include "protocol/name.h"

#include <stddef.h>
#include <stdint.h>

/* Judges decomposed text (so that no mark hides in a letter) whose spaces are tidy. NAME_OK fills
 * `graphemes` (UAX #29). */
enum name_error name_judge_spelling(const int32_t *codes, size_t count, size_t *graphemes);

#endif
