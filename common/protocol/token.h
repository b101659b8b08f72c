/* token: member ids and resume tokens.
 *
 * An id is 8 random bytes; a resume token is "ID.SECRET" with 16 random bytes of secret. Whoever
 * shows the token is the member; Redis keeps only its hash. */
#ifndef YUKIZURI_PROTOCOL_TOKEN_H
#define YUKIZURI_PROTOCOL_TOKEN_H

#include <stddef.h>

enum {
    TOKEN_ID_BYTES = 12,   /* 11 characters and the NUL */
    TOKEN_BYTES = 35,      /* ID, a dot, 22 characters, the NUL */
    TOKEN_HASH_BYTES = 23, /* 22 characters (128 bits of SHA-256) and the NUL */
};

struct token {
    char id[TOKEN_ID_BYTES];
    char hash[TOKEN_HASH_BYTES];
};

/* A fresh id and its token; `text` is what the member keeps. */
void token_new(struct token *out, char text[TOKEN_BYTES]);

/* Reads a token that a member sent. 0, or -1 when it has not the shape of one. */
int token_parse(const char *text, size_t len, struct token *out);

#endif
