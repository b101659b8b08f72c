#include "redis/resp_encode.h"

#include <string.h>

enum { USUAL_BYTES = 512 };

static size_t put_head(char *out, char kind, size_t number)
{
    out[0] = kind;
    size_t len = 1 + text_number(number, out + 1);
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}

size_t redis_words_head(size_t count, char out[REDIS_HEAD_BYTES])
{
    return put_head(out, '*', count);
}

void redis_words_add(struct redis_words *words, const char *data, size_t len)
{
    char head[REDIS_HEAD_BYTES];
    if (words->count == 0)
        text_reserve(&words->bytes, USUAL_BYTES);
    text_add(&words->bytes, head, put_head(head, '$', len));
    text_add(&words->bytes, data, len);
    text_add(&words->bytes, "\r\n", 2);
    words->count++;
}

void redis_words_add_string(struct redis_words *words, const char *string)
{
    redis_words_add(words, string, strlen(string));
}

void redis_words_add_list(struct redis_words *words, const char *first, va_list rest)
{
    for (const char *word = first; word != NULL; word = va_arg(rest, const char *))
        redis_words_add_string(words, word);
}

void redis_words_move(struct redis_words *words, struct redis_words *more)
{
    text_add(&words->bytes, more->bytes.data, more->bytes.len);
    words->count += more->count;
    redis_words_done(more);
}

/* What was written here: "$LEN\r\nWORD\r\n" each. */
const char *redis_words_at(const struct redis_words *words, size_t index, size_t *len)
{
    const char *at = words->bytes.data;
    if (index >= words->count)
        return NULL;
    for (;; index--) {
        *len = 0;
        for (at++; *at != '\r'; at++)
            *len = *len * 10 + (size_t)(*at - '0');
        at += 2;
        if (index == 0)
            return at;
        at += *len + 2;
    }
}

void redis_words_done(struct redis_words *words)
{
    text_done(&words->bytes);
    words->count = 0;
}
