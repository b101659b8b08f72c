/* A world's room and its members: what clients and Redis say of joining and leaving. */
#include "unit.h"

#include "world_internal.h"

enum {
    JOIN_HEAD = 10, /* arguments before those of the first person; of leave.lua: */
    LEAVE_HEAD = 7,
    LEAVE_WORDS = 3,
};

/* --- The room --- */

static void write_room(void)
{
    char value[128];
    snprintf(value, sizeof value, "['%s', %llu, 0, %lld]", world.epoch,
             (unsigned long long)world.seq, world.count);
    world_when("roster", NULL, value);
    snprintf(value, sizeof value, "['%s', %llu, 0, 1700000000000, '', '']", world.epoch,
             (unsigned long long)world.seq);
    world_when("recent", NULL, value);
}

void world_set_room(const char *epoch, uint64_t seq)
{
    snprintf(world.epoch, sizeof world.epoch, "%s", epoch);
    world.seq = seq;
    write_room();
}

uint64_t world_seq(void)
{
    return world.seq;
}

void world_publish_presence(const char *joined, const char *left)
{
    world.seq++;
    write_room();
    fake_redis_publish(world.fake, WORLD_CHANNEL,
                       "{\"type\":\"presence\",\"seq\":%llu,\"joined\":[%s],\"left\":[%s],"
                       "\"count\":%lld}",
                       (unsigned long long)world.seq, joined, left, world.count);
}

void world_publish_message(const char *text)
{
    world.seq++;
    write_room();
    fake_redis_publish(world.fake, WORLD_CHANNEL,
                       "{\"type\":\"message\",\"seq\":%llu,\"at\":1700000000000,\"from\":{\"id\":"
                       "\"somebody000\",\"name\":\"Somebody\"},\"text\":\"%s\"}",
                       (unsigned long long)world.seq, text);
}

void world_tell_room(const char *json)
{
    fake_redis_publish(world.fake, WORLD_CHANNEL, "%s", json);
}

static void publish(const char *channel, const char *format, va_list values)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, values);
    assert_true(fake_redis_is_subscribed(world.fake, channel));
    fake_redis_publish(world.fake, channel, "%s", text);
}

void world_tell_gateway(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    publish("yukizuri:gateway:" WORLD_GATEWAY, format, values);
    va_end(values);
}

void world_order(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    publish("yukizuri:control", format, values);
    va_end(values);
}

/* --- Joins --- */

size_t world_join_count(const struct fake_redis_call *call)
{
    size_t count = 0;
    while (fake_redis_argument(call, JOIN_HEAD + count * WORLD_JOIN_WORDS + 1) != NULL)
        count++;
    return count;
}

const char *world_join_word(const struct fake_redis_call *call, size_t index,
                            enum world_join_word word)
{
    const char *text = fake_redis_argument(call, JOIN_HEAD + index * WORLD_JOIN_WORDS + word + 1);
    assert_non_null(text);
    return text;
}

void world_publish_joined(const struct fake_redis_call *call)
{
    char joined[4096] = "";
    for (size_t i = 0; i < world_join_count(call); i++) {
        size_t len = strlen(joined);
        snprintf(joined + len, sizeof joined - len, "%s{\"id\":\"%s\",\"name\":\"%s\"}",
                 i > 0 ? "," : "", world_join_word(call, i, WORLD_JOIN_NEW_ID),
                 world_join_word(call, i, WORLD_JOIN_NAME));
        world.count++;
    }
    world_publish_presence(joined, "");
}

void world_answer_joined(struct fake_redis_call *call)
{
    char value[4096] = "[";
    for (size_t i = 0; i < world_join_count(call); i++) {
        size_t len = strlen(value);
        snprintf(value + len, sizeof value - len, "['joined', '%s', %llu, 0, '%s'], ",
                 world_join_word(call, i, WORLD_JOIN_NEW_ID), (unsigned long long)world.seq,
                 world.epoch);
    }
    strcat(value, "]");
    fake_redis_answer(call, "%s", value);
}

void world_let_in(struct fake_redis_call *call)
{
    world_publish_joined(call);
    world_answer_joined(call);
}

void world_refuse(struct fake_redis_call *call)
{
    char value[1024] = "[";
    for (size_t i = 0; i < world_join_count(call); i++)
        strcat(value, "['full'], ");
    fake_redis_answer(call, "%s]", value);
}

void world_resume(struct fake_redis_call *call)
{
    assert_int_equal(world_join_count(call), 1);
    fake_redis_answer(call, "[['resumed', '%s', %llu, 0, '%s']]",
                      world_join_word(call, 0, WORLD_JOIN_SHOWN_ID), (unsigned long long)world.seq,
                      world.epoch);
}

/* --- Leaves --- */

size_t world_leave_count(const struct fake_redis_call *call)
{
    size_t count = 0;
    while (fake_redis_argument(call, LEAVE_HEAD + count * LEAVE_WORDS + 1) != NULL)
        count++;
    return count;
}

const char *world_leave_word(const struct fake_redis_call *call, size_t index,
                             enum world_leave_word word)
{
    const char *text = fake_redis_argument(call, LEAVE_HEAD + index * LEAVE_WORDS + word + 1);
    assert_non_null(text);
    return text;
}

void world_take_off(struct fake_redis_call *call)
{
    world.count -= (long long)world_leave_count(call);
    world_publish_presence("", "");
    fake_redis_answer(call, "%llu", (unsigned long long)world.seq);
}

/* --- Members --- */

struct client *world_connect(void)
{
    int fd;
    struct session_visitor visitor = {.room = WORLD_ROOM};
    assert_true(world.client_count < WORLD_CLIENTS);
    struct client *client = world.clients[world.client_count++] = client_new(&fd);
    assert_int_equal(address_parse("192.0.2.1", strlen("192.0.2.1"), &visitor.address), 0);
    assert_true(quota_take(world.quota, &visitor.address));
    visitor.fd = fd;
    session_open(world.sessions, &visitor);
    return client;
}

void world_ask(struct client *client, const char *name)
{
    char json[256];
    snprintf(json, sizeof json, "{\"type\":\"join\",\"name\":\"%s\"}", name);
    client_send(client, json);
}

void world_ask_again(struct client *client, const char *name, const char *token, uint64_t since)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"type\":\"join\",\"name\":\"%s\",\"resume\":\"%s\",\"since\":{\"epoch\":\"%s\","
             "\"seq\":%llu}}",
             name, token, world.epoch, (unsigned long long)since);
    client_send(client, json);
}

struct member world_join(const char *name)
{
    struct member member = {.client = world_connect()};
    world_ask(member.client, name);
    struct fake_redis_call *call = world_await("join");
    world_let_in(call);
    const json_t *welcome = client_await(member.client, "welcome");
    const json_t *me = json_object_get(welcome, "me");
    snprintf(member.name, sizeof member.name, "%s", name);
    snprintf(member.id, sizeof member.id, "%s", client_text(me, "id"));
    snprintf(member.token, sizeof member.token, "%s", client_text(welcome, "resume"));
    snprintf(member.session, sizeof member.session, "%s",
             world_join_word(call, 0, WORLD_JOIN_SESSION));
    client_forget(member.client);
    return member;
}

void world_come_back(struct member *member)
{
    member->client = world_connect();
    world_ask_again(member->client, member->name, member->token, world.seq);
    struct fake_redis_call *call = world_await("join");
    world_resume(call);
    client_await(member->client, "welcome");
    snprintf(member->session, sizeof member->session, "%s",
             world_join_word(call, 0, WORLD_JOIN_SESSION));
    client_forget(member->client);
}

uint64_t world_detached(void)
{
    loop_settle();
    return world.metrics.detached;
}

uint64_t world_refused(enum refusal reason)
{
    loop_settle();
    return world.metrics.refused.counts[reason];
}
