#include "redis/greeting.h"

#include "redis/connection_internal.h"
#include "redis/connection_send.h"

#include <stdio.h>
#include <string.h>

/* An AUTH that Redis does not know is repeated by it, with the password: redis_error_read leaves
 * that out. */
static void on_greeting(void *arg, const struct redis_reply *reply)
{
    struct redis_connection *redis = arg;
    struct redis_error error;
    char why[LOSS_REASON_BYTES];
    if (!redis_reply_error(reply, &error))
        return;
    snprintf(why, sizeof why, "Redis refused: %s", error.text);
    redis_connection_lose(redis, why);
}

/* Without the right to ask, it is not known: the scripts ask as well, and the probe tells. */
static void on_server(void *arg, const struct redis_reply *reply)
{
    struct redis_server *server = &((struct redis_connection *)arg)->server;
    const char *info = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    if (info == NULL)
        return;
    redis_info_field(info, "run_id", server->run_id, sizeof server->run_id);
    redis_info_field(info, "redis_version", server->version, sizeof server->version);
}

void redis_connection_ask_server(struct redis_connection *redis)
{
    if (redis->state != REDIS_READY || redis->held || redis->server.run_id[0] != '\0')
        return;
    redis_connection_send_strings(redis, on_server, redis, "INFO", "server", NULL);
    redis_connection_mark_optional(redis);
}

/* Asked after the password was taken: before, it would be refused for want of it. */
static void on_role(void *arg, const struct redis_reply *reply)
{
    struct redis_connection *redis = arg;
    const char *role = redis_reply_string(redis_reply_at(reply, 0), NULL);
    on_greeting(redis, reply);
    if (reply == NULL || redis->state != REDIS_GREETING)
        return;
    if (role == NULL || strcmp(role, "master") != 0)
        redis_connection_lose(redis, REDIS_NO_MASTER);
}

static void on_greeted(void *arg, const struct redis_reply *reply)
{
    struct redis_connection *redis = arg;
    on_greeting(redis, reply);
    if (reply != NULL && redis->state == REDIS_GREETING)
        redis_connection_become_ready(redis);
}

static __attribute__((sentinel)) void greet_with(struct redis_connection *redis, redis_done done,
                                                 const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    redis_connection_write_list(redis, done, redis, first, rest);
    va_end(rest);
}

void greeting_send(struct redis_connection *redis)
{
    const struct redis_url *url = redis->options.url;
    redis->state = REDIS_GREETING;
    if (url->password[0] != '\0' && url->user[0] != '\0')
        greet_with(redis, on_greeting, "AUTH", url->user, url->password, NULL);
    else if (url->password[0] != '\0')
        greet_with(redis, on_greeting, "AUTH", url->password, NULL);
    if (url->database != 0 && redis->options.role != REDIS_ROLE_SENTINEL) {
        char number[16];
        snprintf(number, sizeof number, "%d", url->database);
        greet_with(redis, on_greeting, "SELECT", number, NULL);
    }
    redis->server = (struct redis_server){0};
    if (redis->options.role != REDIS_ROLE_SENTINEL) {
        greet_with(redis, on_server, "INFO", "server", NULL);
        pipeline_mark_last_optional(&redis->pipeline);
    }
    greet_with(redis, NULL, "CLIENT", "SETNAME", redis->client_name, NULL);
    pipeline_mark_last_optional(&redis->pipeline);
    greet_with(redis, on_greeting, "PING", NULL);
    if (redis->options.role == REDIS_ROLE_MASTER)
        greet_with(redis, on_role, "ROLE", NULL);
    greet_with(redis, on_greeted, "PING", "ready", NULL);
}
