/* The part of redis.h that puts commands together. */
#include "redis.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

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

char *redis_format(const struct redis_words *words, size_t *len)
{
    char *command = NULL;
    int got =
        redisFormatCommandArgv(&command, (int)words->count, (const char **)words->data, words->len);
    if (got < 0)
        abort(); /* out of memory */
    *len = (size_t)got;
    return command;
}

void redis_free_formatted(char *command)
{
    redisFreeCommand(command);
}
