#include "redis/connection_send.h"

#include "base/clock.h"
#include "redis/connection_internal.h"
#include "redis/hold.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

static void push_command(struct redis_connection *redis, redis_done done, void *arg)
{
    bool first = pipeline_deadline_ms(&redis->pipeline) == 0;
    pipeline_push(&redis->pipeline, done, arg, clock_monotonic_ms() + REDIS_DEADLINE_MS);
    if (first)
        redis_connection_await_deadline(redis);
}

/* Commands wait for redis_connection_flush, and leave with one system call. */
static void write_command(struct redis_connection *redis, const struct redis_words *words,
                          redis_done done, void *arg)
{
    char head[REDIS_HEAD_BYTES];
    evbuffer_add(redis->unsent, head, redis_words_head(words->count, head));
    evbuffer_add(redis->unsent, words->bytes.data, words->bytes.len);
    redis->options.metrics->redis_commands +=
        redis->state == REDIS_READY && redis->options.role != REDIS_ROLE_SENTINEL;
    push_command(redis, done, arg);
}

/* Straight to the socket: docs/decisions/0022-redis-socket.md. */
void redis_connection_flush(struct redis_connection *redis)
{
    if (redis->stream == NULL || evbuffer_get_length(redis->unsent) == 0)
        return;
    if (redis->options.tls == NULL &&
        evbuffer_get_length(bufferevent_get_output(redis->stream)) == 0)
        evbuffer_write(redis->unsent, bufferevent_getfd(redis->stream));
    bufferevent_write_buffer(redis->stream,
                             redis->unsent); /* the rest, or all: errors show there */
}

void redis_connection_write_list(struct redis_connection *redis, redis_done done, void *arg,
                                 const char *first, va_list rest)
{
    struct redis_words words = {0};
    redis_words_add_list(&words, first, rest);
    write_command(redis, &words, done, arg);
    redis_words_done(&words);
}

void redis_connection_mark_optional(struct redis_connection *redis)
{
    pipeline_mark_last_optional(redis->held ? &redis->held_commands : &redis->pipeline);
}

int redis_connection_send(struct redis_connection *redis, const struct redis_words *words,
                          redis_done done, void *arg)
{
    if (redis->held)
        redis_connection_hold_back(redis, words, done, arg);
    else if (redis->state == REDIS_READY)
        write_command(redis, words, done, arg);
    else
        return -1;
    return 0;
}

int redis_connection_send_strings(struct redis_connection *redis, redis_done done, void *arg,
                                  const char *first, ...)
{
    struct redis_words words = {0};
    va_list rest;
    va_start(rest, first);
    redis_words_add_list(&words, first, rest);
    va_end(rest);
    int result = redis_connection_send(redis, &words, done, arg);
    redis_words_done(&words);
    return result;
}

/* The answer is a push or an error: what comes until the PING is answered belongs to none of the
 * commands that wait. */
int redis_connection_unsubscribe_sharded(struct redis_connection *redis, const char *channel)
{
    struct redis_words words = {0};
    char head[REDIS_HEAD_BYTES];
    if (redis->state != REDIS_READY)
        return -1;
    redis_words_add_string(&words, "SUNSUBSCRIBE");
    redis_words_add_string(&words, channel);
    evbuffer_add(redis->unsent, head, redis_words_head(words.count, head));
    evbuffer_add(redis->unsent, words.bytes.data, words.bytes.len);
    redis_words_done(&words);
    redis_connection_send_strings(redis, NULL, NULL, "PING", NULL);
    pipeline_mark_last_behind_error(&redis->pipeline);
    return 0;
}
