/* The part of redis/client.h that puts commands together: RESP, an array of bulk strings. */
#include "redis/internal.h"

#include <assert.h>
#include <string.h>

enum { HEAD_BYTES = 24 }; /* '*' or '$', 20 digits, CR LF */

void redis_words_add(struct redis_words *words, const char *data, size_t len)
{
    assert(words->count < REDIS_WORDS);
    words->data[words->count] = data;
    words->len[words->count] = len;
    words->count++;
}

void redis_words_add_string(struct redis_words *words, const char *string)
{
    redis_words_add(words, string, strlen(string));
}

void redis_words_list(struct redis_words *words, const char *first, va_list rest)
{
    words->count = 0;
    for (const char *word = first; word != NULL; word = va_arg(rest, const char *))
        redis_words_add_string(words, word);
}

static char *put_head(char *out, char kind, size_t number)
{
    char digits[HEAD_BYTES];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    *out++ = kind;
    memcpy(out, digits + at, sizeof digits - at);
    out += sizeof digits - at;
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

static char *put_word(char *out, const char *word, size_t len)
{
    out = put_head(out, '$', len);
    if (len > 0)
        memcpy(out, word, len);
    out += len;
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

size_t redis_format_bytes(const struct redis_words *words)
{
    size_t most = HEAD_BYTES;
    for (size_t i = 0; i < words->count; i++)
        most += HEAD_BYTES + words->len[i] + 2;
    return most;
}

size_t redis_format(const struct redis_words *words, char *out)
{
    char *end = put_head(out, '*', words->count);
    for (size_t i = 0; i < words->count; i++)
        end = put_word(end, words->data[i], words->len[i]);
    return (size_t)(end - out);
}
