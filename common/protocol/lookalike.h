/* lookalike: which characters look like which others (UTS #39), as far as a table of Latin, Greek,
 * Cyrillic and the like goes (lookalike_table.h). Pure; owns nothing. */
#ifndef YUKIZURI_PROTOCOL_LOOKALIKE_H
#define YUKIZURI_PROTOCOL_LOOKALIKE_H

#include <stdint.h>

/* The code point that stands for all that look like `code`, of decomposed text without case; `code`
 * itself where there is no other. ASCII stands for itself. The result is in UTF-8 no longer than
 * `code`, and stands for itself. */
int32_t lookalike_of(int32_t code);

/* Puts N and Y for the Greek capitals that look so, in a name (UTF-8, composed) that has Latin
 * letters of ASCII or Cyrillic ones beside them. Without their case they look like others, like v
 * and u, and so they count in a name that is Greek alone: it is the same in capitals. */
void lookalike_replace_capitals(char *text);

#endif
