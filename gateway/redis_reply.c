/* The part of redis.h that reads replies. */
#include "redis.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

bool redis_reply_is_error(const struct redisReply *reply)
{
    return reply == NULL || reply->type == REDIS_REPLY_ERROR;
}

int64_t redis_reply_integer(const struct redisReply *reply)
{
    if (reply == NULL)
        return 0;
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    return reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : 0;
}

const char *redis_reply_string(const struct redisReply *reply, size_t *len)
{
    bool is_string =
        reply != NULL && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
                          reply->type == REDIS_REPLY_ERROR);
    if (len != NULL)
        *len = is_string ? (size_t)reply->len : 0;
    return is_string ? reply->str : NULL;
}

size_t redis_reply_count(const struct redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
}

const struct redisReply *redis_reply_at(const struct redisReply *reply, size_t index)
{
    return index < redis_reply_count(reply) ? reply->element[index] : NULL;
}
