#include "protocol/token.h"

#include "base/digest.h"

#include <string.h>

enum { ID_LEN = TOKEN_ID_BYTES - 1, SECRET_LEN = 22 };

static void hash_text(const char *text, size_t len, char out[TOKEN_HASH_BYTES])
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    digest_sha256(text, len, hash);
    digest_base64url(hash, 16, out);
}

void token_new(struct token *out, char text[TOKEN_BYTES])
{
    uint8_t id[8];
    uint8_t secret[16];
    digest_random(id, sizeof id);
    digest_random(secret, sizeof secret);
    digest_base64url(id, sizeof id, text);
    text[ID_LEN] = '.';
    digest_base64url(secret, sizeof secret, text + ID_LEN + 1);
    memcpy(out->id, text, ID_LEN);
    out->id[ID_LEN] = '\0';
    hash_text(text, TOKEN_BYTES - 1, out->hash);
}

static int is_base64url(const char *text, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return strspn(text, alphabet) >= len;
}

int token_parse(const char *text, size_t len, struct token *out)
{
    char copy[TOKEN_BYTES];
    if (len != TOKEN_BYTES - 1 || text[ID_LEN] != '.')
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (!is_base64url(copy, ID_LEN) || !is_base64url(copy + ID_LEN + 1, SECRET_LEN))
        return -1;
    memcpy(out->id, copy, ID_LEN);
    out->id[ID_LEN] = '\0';
    hash_text(copy, len, out->hash);
    return 0;
}
