#include "redis_stage.h"

#include "unit.h"

#include "redis/script.h"

#include <event2/event.h>

static struct redis_stage {
    struct event_base *base;
    struct fake_redis *fake;
    struct redis_url url;
    struct metrics metrics;
    struct redis *redis;
    void (*when_ready)(struct redis *redis);
    unsigned address_index;
    char told[8192];
} stage;

/* --- Who was told what --- */

void redis_stage_tell(void *who, const struct redis_reply *reply)
{
    char other[32];
    const char *text = redis_reply_string(reply, NULL);
    size_t len = strlen(stage.told);
    if (redis_reply_count(reply) > 0)
        snprintf(other, sizeof other, "[%zu]", redis_reply_count(reply));
    else
        snprintf(other, sizeof other, "%lld", (long long)redis_reply_integer(reply));
    if (reply == NULL)
        text = "none";
    snprintf(stage.told + len, sizeof stage.told - len, "%s%s:%s", len == 0 ? "" : " ",
             (const char *)who, text == NULL ? other : text);
}

const char *redis_stage_told(void)
{
    static char told[sizeof stage.told];
    strcpy(told, stage.told);
    stage.told[0] = '\0';
    return told;
}

static bool is_told(void *arg)
{
    (void)arg;
    return stage.told[0] != '\0';
}

const char *redis_stage_await_told(void)
{
    fake_redis_run_until(stage.fake, is_told, NULL);
    fake_redis_settle(stage.fake);
    return redis_stage_told();
}

/* --- The connection --- */

static void on_ready(void *arg)
{
    (void)arg;
    if (stage.when_ready != NULL)
        stage.when_ready(stage.redis);
}

static void on_lost(void *arg, const char *why)
{
    (void)arg;
    (void)why;
}

static void on_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    (void)error;
}

static bool is_ready(void *arg)
{
    (void)arg;
    return redis_is_ready(stage.redis);
}

static bool is_lost(void *arg)
{
    return !is_ready(arg);
}

static void flush(void *arg)
{
    (void)arg;
    redis_flush(stage.redis);
}

struct redis_options redis_stage_options(const struct redis_url *url)
{
    return (struct redis_options){.base = stage.base,
                                  .url = url,
                                  .address_index = &stage.address_index,
                                  .client_name = "unit",
                                  .limits = {1 << 20, 1 << 20},
                                  .metrics = &stage.metrics};
}

void redis_stage_open(void)
{
    redis_stage_open_prepared(NULL);
}

void redis_stage_open_prepared(void (*prepare)(struct redis_connection *connection))
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error};
    script_hash_all();
    stage = (struct redis_stage){.base = event_base_new()};
    stage.fake = fake_redis_new(stage.base);
    assert_null(redis_url_parse(fake_redis_url(stage.fake), &stage.url));
    struct redis_options options = redis_stage_options(&stage.url);
    options.prepare = prepare;
    stage.redis = redis_new(&options, &callbacks, NULL);
    fake_redis_follow(stage.fake, flush, NULL);
    fake_redis_run_until(stage.fake, is_ready, NULL);
}

void redis_stage_stop(void)
{
    redis_stop(stage.redis);
}

void redis_stage_close(void)
{
    redis_free(stage.redis);
    fake_redis_free(stage.fake);
    event_base_free(stage.base);
}

struct fake_redis *redis_stage_fake(void)
{
    return stage.fake;
}

struct redis *redis_stage_connection(void)
{
    return stage.redis;
}

void redis_stage_settle(void)
{
    fake_redis_settle(stage.fake);
}

void redis_stage_lose(void)
{
    fake_redis_set_away(stage.fake, true);
    fake_redis_run_until(stage.fake, is_lost, NULL);
    fake_redis_settle(stage.fake);
}

void redis_stage_when_ready(void (*step)(struct redis *redis))
{
    stage.when_ready = step;
}

void redis_stage_come_back(void)
{
    fake_redis_set_away(stage.fake, false);
    fake_redis_run_until(stage.fake, is_ready, NULL);
}
