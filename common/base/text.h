/* text: a string that grows. Owns its bytes; always NUL-terminated once something was added.
 * It does not bound its length: whoever adds what a peer sent has bounded it before. */
#ifndef YUKIZURI_BASE_TEXT_H
#define YUKIZURI_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *data; /* NULL while empty */
    size_t len; /* bytes, without the NUL */
    size_t capacity;
};

#define TEXT_EMPTY                                                                                 \
    (struct text)                                                                                  \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

enum { TEXT_NUMBER_BYTES = 21 }; /* of the greatest number, with the NUL */

/* Writes the number in decimal, with a NUL. Returns its length. */
size_t text_number(uint64_t number, char out[TEXT_NUMBER_BYTES]);

/* FNV-1a of a string: the same for the same words; others may share it, and a peer can make them.
 */
uint64_t text_hash(const char *string);

/* Frees the bytes; the text is empty again. */
void text_done(struct text *text);

/* Forgets the content and keeps the memory. */
void text_clear(struct text *text);

/* Makes room for as many bytes more: they can then be added without moving what is there. */
void text_reserve(struct text *text, size_t more);

void text_add(struct text *text, const char *data, size_t len);
void text_add_string(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t number); /* in decimal */
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Gives the string to the caller, who frees it; never NULL. The text is empty again. */
char *text_take(struct text *text);

#endif
