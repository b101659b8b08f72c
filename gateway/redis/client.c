#include "redis/client.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>

struct redis {
    struct redis_connection *connection;
};

struct redis *redis_new(const struct redis_options *options,
                        const struct redis_callbacks *callbacks, void *arg)
{
    struct redis *redis = memory_new(sizeof *redis);
    redis->connection = redis_connection_new(options, callbacks, arg);
    return redis;
}

void redis_stop(struct redis *redis)
{
    redis_connection_stop(redis->connection);
}

void redis_free(struct redis *redis)
{
    if (redis == NULL)
        return;
    redis_connection_free(redis->connection);
    free(redis);
}

bool redis_is_ready(const struct redis *redis)
{
    return redis_connection_is_ready(redis->connection);
}

const struct redis_server *redis_server(const struct redis *redis)
{
    return redis_connection_server(redis->connection);
}

int64_t redis_last_rx_ms(const struct redis *redis)
{
    return redis_connection_last_rx_ms(redis->connection);
}

void redis_reset_backoff(struct redis *redis)
{
    redis_connection_reset_backoff(redis->connection);
}

void redis_reconnect(struct redis *redis, const char *why)
{
    redis_connection_reconnect(redis->connection, why);
}

void redis_move(struct redis *redis, const char *why)
{
    redis_connection_move(redis->connection, why);
}

void redis_hold(struct redis *redis)
{
    redis_connection_hold(redis->connection);
}

bool redis_release(struct redis *redis)
{
    return redis_connection_release(redis->connection);
}

void redis_flush(struct redis *redis)
{
    redis_connection_flush(redis->connection);
}

void redis_mark_optional(struct redis *redis)
{
    redis_connection_mark_optional(redis->connection);
}

int redis_send(struct redis *redis, const struct redis_words *words, redis_done done, void *arg)
{
    return redis_connection_send(redis->connection, words, done, arg);
}

void redis_fail(struct redis *redis, redis_done done, void *arg)
{
    redis_connection_fail(redis->connection, done, arg);
}

int redis_send_strings(struct redis *redis, redis_done done, void *arg, const char *first, ...)
{
    if (!redis_is_ready(redis))
        return -1;
    struct redis_words words = {0};
    va_list rest;
    va_start(rest, first);
    for (const char *word = first; word != NULL; word = va_arg(rest, const char *))
        redis_words_add_string(&words, word);
    va_end(rest);
    int result = redis_send(redis, &words, done, arg);
    redis_words_done(&words);
    return result;
}
