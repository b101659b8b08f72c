#include "redis/hold.h"

#include "base/clock.h"
#include "redis/connection_internal.h"

#include <event2/buffer.h>
#include <event2/event.h>

void redis_connection_hold(struct redis_connection *redis)
{
    redis->held = true;
}

bool redis_connection_is_held(const struct redis_connection *redis)
{
    return redis->held;
}

bool redis_connection_release(struct redis_connection *redis)
{
    if (!redis->held)
        return false;
    redis->held = false;
    if (redis->state == REDIS_READY) {
        evbuffer_add_buffer(redis->unsent, redis->held_back);
        pipeline_move(&redis->pipeline, &redis->held_commands);
        redis_connection_await_deadline(redis);
        return true;
    }
    evbuffer_drain(redis->held_back, evbuffer_get_length(redis->held_back));
    pipeline_move(&redis->failed, &redis->held_commands);
    event_active(redis->deferred, EV_TIMEOUT, 0);
    return true;
}

void redis_connection_hold_back(struct redis_connection *redis, const struct redis_words *words,
                                redis_done done, void *arg)
{
    char head[REDIS_HEAD_BYTES];
    evbuffer_add(redis->held_back, head, redis_words_head(words->count, head));
    evbuffer_add(redis->held_back, words->bytes.data, words->bytes.len);
    redis->options.metrics->redis_commands++;
    pipeline_push(&redis->held_commands, done, arg, clock_monotonic_ms() + REDIS_DEADLINE_MS);
}
