#include "redis/client.h"

#include "base/memory.h"
#include "redis/cluster_client.h"

#include <stdarg.h>
#include <stdlib.h>

/* One of them. */
struct redis {
    struct redis_connection *connection;
    struct cluster_client *cluster;
    /* Of the connection: each time that it becomes ready it is another place. */
    struct redis_callbacks callbacks;
    void *arg;
    uint64_t place;
};

static void on_ready(void *arg)
{
    struct redis *redis = arg;
    redis->place++;
    redis->callbacks.on_ready(redis->arg);
}

static void on_lost(void *arg, const char *why)
{
    const struct redis *redis = arg;
    redis->callbacks.on_lost(redis->arg, why);
}

static void on_error(void *arg, const struct redis_error *error)
{
    const struct redis *redis = arg;
    redis->callbacks.on_error(redis->arg, error);
}

static void on_push(void *arg, const struct redis_reply *reply)
{
    const struct redis *redis = arg;
    redis->callbacks.on_push(redis->arg, reply);
}

struct redis *redis_new(const struct redis_options *options,
                        const struct redis_callbacks *callbacks, void *arg)
{
    static const struct redis_callbacks own = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error, .on_push = on_push};
    struct redis *redis = memory_new(sizeof *redis);
    redis->callbacks = *callbacks;
    redis->arg = arg;
    if (options->cluster != NULL)
        redis->cluster = cluster_client_new(options, callbacks, arg);
    else
        redis->connection = redis_connection_new(options, &own, redis);
    return redis;
}

void redis_stop(struct redis *redis)
{
    if (redis->cluster != NULL)
        cluster_client_stop(redis->cluster);
    else
        redis_connection_stop(redis->connection);
}

void redis_free(struct redis *redis)
{
    if (redis == NULL)
        return;
    if (redis->cluster != NULL)
        cluster_client_free(redis->cluster);
    redis_connection_free(redis->connection);
    free(redis);
}

bool redis_is_cluster(const struct redis *redis)
{
    return redis->cluster != NULL;
}

bool redis_is_ready(const struct redis *redis)
{
    return redis->cluster != NULL ? cluster_client_is_ready(redis->cluster)
                                  : redis_connection_is_ready(redis->connection);
}

bool redis_is_whole(const struct redis *redis)
{
    return redis_is_ready(redis) &&
           (redis->cluster == NULL || cluster_client_is_whole(redis->cluster));
}

size_t redis_count_given_up(const struct redis *redis)
{
    return redis->cluster != NULL ? cluster_client_count_given_up(redis->cluster) : 0;
}

const struct redis_server *redis_server(const struct redis *redis)
{
    return redis->cluster != NULL ? cluster_client_server(redis->cluster)
                                  : redis_connection_server(redis->connection);
}

int64_t redis_last_rx_ms(const struct redis *redis)
{
    return redis->cluster != NULL ? cluster_client_last_rx_ms(redis->cluster)
                                  : redis_connection_last_rx_ms(redis->connection);
}

void redis_reset_backoff(struct redis *redis)
{
    if (redis->cluster != NULL)
        cluster_client_reset_backoff(redis->cluster);
    else
        redis_connection_reset_backoff(redis->connection);
}

void redis_reconnect(struct redis *redis, const char *why)
{
    if (redis->cluster != NULL)
        cluster_client_reconnect(redis->cluster, why);
    else
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

bool redis_is_held(const struct redis *redis)
{
    return redis->cluster == NULL && redis_connection_is_held(redis->connection);
}

void redis_ask_server(struct redis *redis)
{
    if (redis->cluster == NULL)
        redis_connection_ask_server(redis->connection);
}

void redis_flush(struct redis *redis)
{
    if (redis->cluster != NULL)
        cluster_client_flush(redis->cluster);
    else
        redis_connection_flush(redis->connection);
}

void redis_mark_optional(struct redis *redis)
{
    if (redis->cluster != NULL)
        cluster_client_mark_optional(redis->cluster);
    else
        redis_connection_mark_optional(redis->connection);
}

int redis_send(struct redis *redis, const struct redis_words *words, redis_done done, void *arg)
{
    return redis->cluster != NULL ? cluster_client_send(redis->cluster, words, done, arg)
                                  : redis_connection_send(redis->connection, words, done, arg);
}

int redis_send_beside(struct redis *redis, const char *key, size_t len,
                      const struct redis_words *words, redis_done done, void *arg)
{
    return redis->cluster != NULL
               ? cluster_client_send_beside(redis->cluster, key, len, words, done, arg)
               : redis_connection_send(redis->connection, words, done, arg);
}

bool redis_not_carried_out(const struct redis *redis)
{
    return redis->cluster != NULL && cluster_client_not_carried_out(redis->cluster);
}

void redis_fail(struct redis *redis, redis_done done, void *arg)
{
    if (redis->cluster != NULL)
        cluster_client_fail(redis->cluster, done, arg);
    else
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

/* --- Where keys are --- */

size_t redis_node_of(const struct redis *redis, const char *key, size_t len)
{
    return redis->cluster != NULL ? cluster_client_node(redis->cluster, key, len) : 0;
}

const char *redis_histories(struct redis *redis)
{
    return redis->cluster != NULL ? cluster_client_histories(redis->cluster) : "";
}

uint64_t redis_place(struct redis *redis, const char *key)
{
    if (redis->cluster != NULL)
        return cluster_client_place(redis->cluster, key);
    return redis_is_ready(redis) ? redis->place : 0;
}

uint64_t redis_push_place(const struct redis *redis)
{
    return redis->cluster != NULL ? cluster_client_push_place(redis->cluster) : redis->place;
}

void redis_look_again(struct redis *redis)
{
    if (redis->cluster != NULL)
        cluster_client_look_again(redis->cluster);
}

int redis_send_at(struct redis *redis, uint64_t place, const struct redis_words *words,
                  redis_done done, void *arg)
{
    if (redis->cluster != NULL)
        return cluster_client_send_at(redis->cluster, place, words, done, arg);
    return place == redis->place ? redis_send(redis, words, done, arg) : -1;
}

int redis_unsubscribe_sharded_at(struct redis *redis, uint64_t place, const char *channel)
{
    if (redis->cluster != NULL)
        return cluster_client_unsubscribe_sharded_at(redis->cluster, place, channel);
    return place == redis->place ? redis_connection_unsubscribe_sharded(redis->connection, channel)
                                 : -1;
}
