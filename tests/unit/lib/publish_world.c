#include "unit.h"

#include "publish_world.h"
#include "redis_stage.h"

#include <event2/event.h>

struct stage stage;

bool is_up(void *arg)
{
    (void)arg;
    return stage.broker != NULL && broker_is_up(stage.broker);
}

bool is_down(void *arg)
{
    return !is_up(arg);
}

static void on_event(void *arg)
{
    (void)arg;
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static void flush_broker(void *arg)
{
    (void)arg;
    flush();
}

static void open_broker(void)
{
    static const struct broker_callbacks callbacks = {on_event, on_control_message};
    const struct broker_options options = {stage.base, &stage.config, &stage.config.redis_url,
                                           &stage.metrics, NULL};
    char error[256];
    stage.broker = broker_new(&options, &callbacks, NULL, error, sizeof error);
    assert_non_null(stage.broker);
    fake_redis_follow(stage.fake, flush_broker, NULL);
    fake_redis_run_until(stage.fake, is_up, NULL);
}

static void open_rooms(void)
{
    static const char *const names[MOST_ROOMS] = {"tea", "café"};
    for (size_t i = 0; i < MOST_ROOMS; i++)
        stage.rooms[i] = topic_of(broker_commands(stage.broker), &stage.config, names[i]);
}

struct topic *tea(void)
{
    return &stage.rooms[0];
}

struct topic *cafe(void)
{
    return &stage.rooms[1];
}

int say_all(struct topic *room, const struct publish_batch_say *say, const char *who)
{
    return commands_say(room, say, redis_stage_tell, (void *)(uintptr_t)who);
}

int say(struct topic *room, const char *who)
{
    const struct publish_batch_say what = {.id = "ID", .body = who, .body_len = strlen(who)};
    return say_all(room, &what, who);
}

int say_with_nonce(struct topic *room, const char *id, const char *nonce, const char *who)
{
    const struct publish_batch_say what = {id, who, strlen(who), nonce, "epoch"};
    return say_all(room, &what, who);
}

int leave(struct topic *room, const char *who)
{
    const struct commands_leave gone = {
        .member = {.folded = "a", .name = "a", .address = "", .public_address = "", .session = "s"},
        .except_id = "",
    };
    return commands_leave(room, &gone, 1, redis_stage_tell, (void *)(uintptr_t)who);
}

void flush(void)
{
    broker_flush(stage.broker);
}

void stop(void)
{
    broker_stop(stage.broker);
}

static void close_all(void)
{
    broker_stop(stage.broker);
    broker_free(stage.broker);
}

void drop(void)
{
    redis_reconnect(broker_commands(stage.broker)->redis, "dropped");
}

static void open_with(const char *durability)
{
    static char *const environment[] = {NULL};
    stage = (struct stage){.base = event_base_new()};
    stage.fake = fake_redis_new(stage.base);
    /* a broker that is not subscribed asks for nothing by itself */
    fake_redis_always(stage.fake, "SUBSCRIBE", NULL);
    char *arguments[] = {"yukizuri",
                         "--redis",
                         (char *)(uintptr_t)fake_redis_url(stage.fake),
                         "--gateway-id",
                         "one",
                         "--durability",
                         (char *)(uintptr_t)durability};
    assert_int_equal(config_load(&stage.config, 7, arguments, environment).action, CONFIG_RUN);
    open_broker();
    open_rooms();
    redis_stage_told();
}

int open_stage(void **state)
{
    (void)state;
    open_with("primary");
    return 0;
}

int open_durable_stage(void **state)
{
    (void)state;
    open_with("replica");
    fake_redis_always(stage.fake, "SET", "+OK");
    fake_redis_settle(stage.fake); /* its own connection is there as well */
    return 0;
}

int close_stage(void **state)
{
    (void)state;
    close_all();
    fake_redis_free(stage.fake);
    config_done(&stage.config);
    event_base_free(stage.base);
    return 0;
}

struct fake_redis_call *await(void)
{
    return fake_redis_await(stage.fake, "publish");
}

size_t count(void)
{
    fake_redis_settle(stage.fake);
    return fake_redis_count(stage.fake, "publish");
}

const char *told(void)
{
    fake_redis_settle(stage.fake);
    return redis_stage_told();
}

const char *body_of(const struct fake_redis_call *call, size_t index)
{
    return fake_redis_argument(call, ARGUMENTS + 1 + index * WORDS);
}

const char *nonce_of(const struct fake_redis_call *call, size_t index)
{
    return fake_redis_argument(call, ARGUMENTS + 2 + index * WORDS);
}

const char *epoch_of(const struct fake_redis_call *call, size_t index)
{
    return fake_redis_argument(call, ARGUMENTS + 3 + index * WORDS);
}

const char *bodies(const struct fake_redis_call *call)
{
    static char all[4096];
    const char *body;
    size_t len = 0;
    for (size_t i = 0; (body = body_of(call, i)) != NULL; i++)
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i == 0 ? "" : " ", body);
    return all;
}
