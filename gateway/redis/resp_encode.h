/* redis_words: the words of a command as Redis reads them (RESP): an array of bulk strings. No I/O.
 */
#ifndef YUKIZURI_REDIS_RESP_ENCODE_H
#define YUKIZURI_REDIS_RESP_ENCODE_H

#include "base/text.h"

#include <stdarg.h>
#include <stddef.h>

/* All zeroes is none. Whoever has added some frees them by redis_words_done. A command shall not
 * have many more than REDIS_WORDS. */
enum { REDIS_WORDS = 1100 };
struct redis_words {
    size_t count;
    struct text bytes; /* without the head */
};

/* What is added is copied. */
void redis_words_add(struct redis_words *words, const char *data, size_t len);
void redis_words_add_string(struct redis_words *words, const char *string);

/* Adds `first` and the strings behind it, up to a NULL. */
void redis_words_add_list(struct redis_words *words, const char *first, va_list rest);

/* Adds all of `more`, which is empty then. */
void redis_words_move(struct redis_words *words, struct redis_words *more);

/* The word at an index, which stays theirs; NULL when there are not so many. */
const char *redis_words_at(const struct redis_words *words, size_t index, size_t *len);

/* They are empty again. */
void redis_words_done(struct redis_words *words);

enum { REDIS_HEAD_BYTES = 24 }; /* '*' or '$', 20 digits, CR LF */

/* What a command of so many words begins with. Returns its length. */
size_t redis_words_head(size_t count, char out[REDIS_HEAD_BYTES]);

#endif
