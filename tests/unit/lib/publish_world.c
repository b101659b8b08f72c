#include "unit.h"

#include "publish_world.h"
#include "redis_stage.h"

#include <event2/event.h>
#include <signal.h>

struct stage stage;

bool is_up(void *arg)
{
    (void)arg;
    return stage.bus != NULL && bus_is_up(stage.bus);
}

bool is_down(void *arg)
{
    return !is_up(arg);
}

static void on_event(void *arg)
{
    (void)arg;
}

static void on_told(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static void flush_bus(void *arg)
{
    (void)arg;
    flush();
}

static void open_bus(void)
{
    static const struct bus_callbacks callbacks = {on_event, on_told};
    const struct bus_options options = {stage.base, &stage.config, &stage.config.redis_url,
                                        &stage.metrics, NULL};
    char error[256];
    stage.bus = bus_new(&options, &callbacks, NULL, error, sizeof error);
    assert_non_null(stage.bus);
    broker_follow(stage.broker, flush_bus, NULL);
    broker_run_until(stage.broker, is_up, NULL);
}

static void open_rooms(void)
{
    static const char *const names[MOST_ROOMS] = {"tea", "café"};
    for (size_t i = 0; i < MOST_ROOMS; i++)
        stage.rooms[i] = topic_of(bus_commands(stage.bus), &stage.config, names[i]);
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
        .member = {.folded = "a", .name = "a", .address = "", .shown = "", .session = "s"},
        .spared = "",
    };
    return commands_leave(room, &gone, 1, redis_stage_tell, (void *)(uintptr_t)who);
}

void flush(void)
{
    bus_flush(stage.bus);
}

void stop(void)
{
    bus_stop(stage.bus);
}

static void close_all(void)
{
    bus_stop(stage.bus);
    bus_free(stage.bus);
}

void drop(void)
{
    redis_reconnect(bus_commands(stage.bus)->redis, "dropped");
}

int open_stage(void **state)
{
    static char *const environment[] = {NULL};
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    stage = (struct stage){.base = event_base_new()};
    stage.broker = broker_new(stage.base);
    /* whoever hears nothing asks for nothing by itself */
    broker_always(stage.broker, "SUBSCRIBE", NULL);
    char *arguments[] = {"yukizuri", "--redis", (char *)(uintptr_t)broker_url(stage.broker)};
    assert_int_equal(config_load(&stage.config, 3, arguments, environment).action, CONFIG_RUN);
    open_bus();
    open_rooms();
    redis_stage_told();
    return 0;
}

int close_stage(void **state)
{
    (void)state;
    close_all();
    broker_free(stage.broker);
    config_done(&stage.config);
    event_base_free(stage.base);
    return 0;
}

struct broker_call *await(void)
{
    return broker_await(stage.broker, "publish");
}

size_t count(void)
{
    broker_settle(stage.broker);
    return broker_count(stage.broker, "publish");
}

const char *told(void)
{
    broker_settle(stage.broker);
    return redis_stage_told();
}

const char *body_of(const struct broker_call *call, size_t index)
{
    return broker_argument(call, ARGUMENTS + 1 + index * WORDS);
}

const char *nonce_of(const struct broker_call *call, size_t index)
{
    return broker_argument(call, ARGUMENTS + 2 + index * WORDS);
}

const char *epoch_of(const struct broker_call *call, size_t index)
{
    return broker_argument(call, ARGUMENTS + 3 + index * WORDS);
}

const char *bodies(const struct broker_call *call)
{
    static char all[4096];
    const char *body;
    size_t len = 0;
    for (size_t i = 0; (body = body_of(call, i)) != NULL; i++)
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i == 0 ? "" : " ", body);
    return all;
}
