#include "unit.h"

#include "world.h"

#include "broker/broker.h"
#include "cluster/membership.h"
#include "config/config.h"
#include "config/quota.h"
#include "room/batch_send.h"
#include "room/registry.h"
#include "room/subscribers.h"
#include "session/drain.h"
#include "session/sessions.h"
#include "telemetry/refusals.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <signal.h>

enum {
    MOST_CALLS = 4096,
    MOST_RULES = 64,
    MOST_CLIENTS = 64,
    PATIENCE_MS = 4500, /* less than the deadline of a call that is waited for */
    LINGER_MS = 40000,  /* a room that nobody uses is closed by then */
    JOIN_HEAD = 10,     /* arguments before those of the first person; of leave.lua: */
    LEAVE_HEAD = 7,
    LEAVE_WORDS = 3,
};

struct rule {
    char name[16], key[64], value[4096];
};

static struct {
    struct broker *broker;
    struct config config;
    struct metrics metrics;
    struct refusals *refusals;
    struct poller *poller;
    struct sender *sender;
    struct audiences *audiences;
    struct bus *bus;
    struct connections *connections;
    struct quota *quota;
    struct sessions *sessions;
    struct presence *presence;
    struct event *tick;
    bool beside;
    char told[1024];

    struct client *clients[MOST_CLIENTS];
    size_t client_count;
    struct room *rooms[4]; /* held by world_open_room */
    size_t room_count;

    struct rule rules[MOST_RULES];
    size_t rule_count;
    struct {
        struct broker_call *call;
        const char *name;
        bool done; /* answered by a rule, or returned */
    } calls[MOST_CALLS];
    size_t call_count;

    char epoch[24];
    uint64_t seq;
    long long count;
} world;

/* --- Rules --- */

/* What waits for the test, or a rule, and not for the broker. */
static const char *const names[] = {
    "join",   "leave",  "ours",     "refresh", "publish", "lease", "bury",    "trim",
    "roster", "recent", "SMEMBERS", "EXISTS",  "SET",     "SSCAN", "PEXPIRE", "SREM",
    "DEL",    "MULTI",  "SADD",     "EXPIRE",  "EXEC",    "SCARD",
};
enum { NAMES = sizeof names / sizeof *names };

/* A Redis in which nothing unusual happens. */
static const char *const defaults[][2] = {
    {"MULTI", "+OK"},   {"SADD", "1"},
    {"EXPIRE", "1"},    {"EXEC", "[1, 1]"},
    {"SREM", "1"},      {"DEL", "1"},
    {"PEXPIRE", "0"},   {"SCARD", "0"},
    {"SMEMBERS", "[]"}, {"EXISTS", "1"},
    {"SET", "+OK"},     {"SSCAN", "['0', []]"},
    {"trim", "0"},      {"refresh", "'kkkkkkkkkkkkkkkkkkkk'"},
};

static const char *first_key(const struct broker_call *call)
{
    const char *key = broker_key(call, 1);
    return key != NULL ? key : broker_argument(call, 1);
}

static struct rule *find_rule(const char *name, const char *key)
{
    for (size_t i = 0; i < world.rule_count; i++)
        if (strcmp(world.rules[i].name, name) == 0 && strcmp(world.rules[i].key, key) == 0)
            return &world.rules[i];
    return NULL;
}

void world_when(const char *name, const char *key, const char *value)
{
    struct rule *rule = find_rule(name, key == NULL ? "" : key);
    if (rule == NULL) {
        assert_true(world.rule_count < MOST_RULES);
        rule = &world.rules[world.rule_count++];
    }
    snprintf(rule->name, sizeof rule->name, "%s", name);
    snprintf(rule->key, sizeof rule->key, "%s", key == NULL ? "" : key);
    snprintf(rule->value, sizeof rule->value, "%s", value);
}

void world_hold(const char *name, const char *key)
{
    world_when(name, key, "");
}

static void obey(size_t index)
{
    struct broker_call *call = world.calls[index].call;
    const char *key = first_key(call);
    const struct rule *rule = key == NULL ? NULL : find_rule(world.calls[index].name, key);
    if (rule == NULL)
        rule = find_rule(world.calls[index].name, "");
    if (rule == NULL || rule->value[0] == '\0')
        return;
    world.calls[index].done = true;
    broker_answer(call, "%s", rule->value);
}

static void note_calls(const char *name, size_t *seen)
{
    for (; *seen < broker_count(world.broker, name); (*seen)++) {
        assert_true(world.call_count < MOST_CALLS);
        size_t index = world.call_count++;
        world.calls[index].call = broker_await(world.broker, name); /* it is there */
        world.calls[index].name = name;
        obey(index);
    }
}

static size_t seen[NAMES];

static void on_turn(void)
{
    for (size_t i = 0; i < NAMES; i++)
        note_calls(names[i], &seen[i]);
    sessions_end_turn(world.sessions);
}

/* --- Calls --- */

static size_t find_call(const char *name)
{
    size_t index = 0;
    while (index < world.call_count &&
           (world.calls[index].done || strcmp(world.calls[index].name, name) != 0))
        index++;
    return index;
}

static bool has_called(void *arg)
{
    return find_call(arg) < world.call_count;
}

struct broker_call *world_await(const char *name)
{
    if (!loop_until(has_called, (void *)(uintptr_t)name, PATIENCE_MS))
        fail_msg("no call of %s came", name);
    size_t index = find_call(name);
    world.calls[index].done = true;
    return world.calls[index].call;
}

void world_expect_none(const char *name)
{
    loop_settle();
    size_t index = find_call(name);
    if (index < world.call_count)
        fail_msg("%s was called: %s", name, first_key(world.calls[index].call));
}

size_t world_count(const char *name)
{
    loop_settle();
    return broker_count(world.broker, name);
}

static bool is_call(size_t index, const char *name, const char *key)
{
    const char *there = first_key(world.calls[index].call);
    return strcmp(world.calls[index].name, name) == 0 && there != NULL && strcmp(there, key) == 0;
}

struct broker_call *world_last(const char *name, const char *key)
{
    loop_settle();
    for (size_t i = world.call_count; i-- > 0;)
        if (is_call(i, name, key))
            return world.calls[i].call;
    return NULL;
}

size_t world_count_of(const char *name, const char *key)
{
    size_t count = 0;
    loop_settle();
    for (size_t i = 0; i < world.call_count; i++)
        count += is_call(i, name, key);
    return count;
}

void world_redis_away(void)
{
    broker_set_away(world.broker, true);
    loop_settle();
}

static bool flows(void *arg)
{
    (void)arg;
    return bus_flows(world.bus);
}

void world_redis_back(void)
{
    broker_set_away(world.broker, false);
    assert_true(loop_until(flows, NULL, 2 * WORLD_DEADLINE_MS));
}

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
    broker_publish(world.broker, WORLD_CHANNEL,
                   "{\"type\":\"presence\",\"seq\":%llu,\"joined\":[%s],\"left\":[%s],"
                   "\"count\":%lld}",
                   (unsigned long long)world.seq, joined, left, world.count);
}

void world_publish_message(const char *text)
{
    world.seq++;
    write_room();
    broker_publish(world.broker, WORLD_CHANNEL,
                   "{\"type\":\"message\",\"seq\":%llu,\"at\":1700000000000,\"from\":{\"id\":"
                   "\"somebody000\",\"name\":\"Somebody\"},\"text\":\"%s\"}",
                   (unsigned long long)world.seq, text);
}

void world_tell_room(const char *json)
{
    broker_publish(world.broker, WORLD_CHANNEL, "%s", json);
}

void world_tell_gateway(const char *format, ...)
{
    char text[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    assert_true(broker_is_heard(world.broker, "yukizuri:gateway:" WORLD_GATEWAY));
    broker_publish(world.broker, "yukizuri:gateway:" WORLD_GATEWAY, "%s", text);
}

/* --- Joins --- */

size_t world_join_count(const struct broker_call *call)
{
    size_t count = 0;
    while (broker_argument(call, JOIN_HEAD + count * WORLD_JOIN_WORDS + 1) != NULL)
        count++;
    return count;
}

const char *world_join_word(const struct broker_call *call, size_t index, enum world_join_word word)
{
    const char *text = broker_argument(call, JOIN_HEAD + index * WORLD_JOIN_WORDS + word + 1);
    assert_non_null(text);
    return text;
}

void world_publish_joined(const struct broker_call *call)
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

void world_answer_joined(struct broker_call *call)
{
    char value[4096] = "[";
    for (size_t i = 0; i < world_join_count(call); i++) {
        size_t len = strlen(value);
        snprintf(value + len, sizeof value - len, "['joined', '%s', %llu, 0, '%s'], ",
                 world_join_word(call, i, WORLD_JOIN_NEW_ID), (unsigned long long)world.seq,
                 world.epoch);
    }
    strcat(value, "]");
    broker_answer(call, "%s", value);
}

void world_let_in(struct broker_call *call)
{
    world_publish_joined(call);
    world_answer_joined(call);
}

void world_refuse(struct broker_call *call)
{
    char value[1024] = "[";
    for (size_t i = 0; i < world_join_count(call); i++)
        strcat(value, "['full'], ");
    broker_answer(call, "%s]", value);
}

void world_resume(struct broker_call *call)
{
    assert_int_equal(world_join_count(call), 1);
    broker_answer(call, "[['resumed', '%s', %llu, 0, '%s']]",
                  world_join_word(call, 0, WORLD_JOIN_SHOWN_ID), (unsigned long long)world.seq,
                  world.epoch);
}

/* --- Leaves --- */

size_t world_leave_count(const struct broker_call *call)
{
    size_t count = 0;
    while (broker_argument(call, LEAVE_HEAD + count * LEAVE_WORDS + 1) != NULL)
        count++;
    return count;
}

const char *world_leave_word(const struct broker_call *call, size_t index,
                             enum world_leave_word word)
{
    const char *text = broker_argument(call, LEAVE_HEAD + index * LEAVE_WORDS + word + 1);
    assert_non_null(text);
    return text;
}

void world_take_off(struct broker_call *call)
{
    world.count -= (long long)world_leave_count(call);
    world_publish_presence("", "");
    broker_answer(call, "%llu", (unsigned long long)world.seq);
}

/* --- Members --- */

struct client *world_connect(void)
{
    int fd;
    struct session_visitor visitor = {.room = WORLD_ROOM};
    assert_true(world.client_count < MOST_CLIENTS);
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
    struct broker_call *call = world_await("join");
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
    struct broker_call *call = world_await("join");
    world_resume(call);
    client_await(member->client, "welcome");
    snprintf(member->session, sizeof member->session, "%s",
             world_join_word(call, 0, WORLD_JOIN_SESSION));
    client_forget(member->client);
}

uint64_t world_ghosts(void)
{
    loop_settle();
    return world.metrics.ghosts;
}

/* --- Other gateways --- */

static void tell(const char *word)
{
    strncat(world.told, word, sizeof world.told - strlen(world.told) - 2);
    strcat(world.told, " ");
}

const char *world_told(void)
{
    static char told[sizeof world.told];
    loop_settle();
    memcpy(told, world.told, sizeof told);
    world.told[0] = '\0';
    return told;
}

static void on_taken(void *arg)
{
    (void)arg;
    tell("taken");
    sessions_admit(world.sessions);
}

static void on_lapsed(void *arg)
{
    (void)arg;
    tell("lapsed");
    sessions_on_lapsed(world.sessions);
}

static void on_refused(void *arg, const char *why)
{
    (void)arg;
    assert_non_null(strstr(why, WORLD_GATEWAY));
    tell("refused");
}

static void on_superseded(void *arg)
{
    (void)arg;
    tell("superseded");
}

static void on_waiting(void *arg, bool waiting)
{
    (void)arg;
    tell(waiting ? "waiting" : "waiting-no-more");
}

static void on_beside(void *arg, bool beside)
{
    (void)arg;
    if (beside != world.beside)
        tell(beside ? "beside" : "alone");
    world.beside = beside;
    sessions_set_beside(world.sessions, beside);
}

static void on_left(void *arg)
{
    (void)arg;
    tell("left");
}

void world_open_room(const char *name)
{
    struct room *room = rooms_get(sessions_rooms(world.sessions), name);
    world.rooms[world.room_count++] = room;
    room_open(room);
}

void world_close_rooms(void)
{
    while (world.room_count > 0)
        room_release(world.rooms[--world.room_count]);
    loop_pass_ms(LINGER_MS);
}

void world_drain(void)
{
    presence_drain(world.presence);
}

bool world_give_back(void)
{
    return presence_leave(world.presence, on_left, NULL) == 0;
}

void world_lease_lapsed(void)
{
    sessions_on_lapsed(world.sessions);
}

void world_set_beside(bool beside)
{
    sessions_set_beside(world.sessions, beside);
}

void world_drain_members(void)
{
    sessions_drain(world.sessions);
}

/* --- Life --- */

static void on_up(void *arg)
{
    (void)arg;
    sessions_on_up(world.sessions);
    if (world.presence != NULL)
        presence_up(world.presence);
}

static void on_bus_told(void *arg, const char *data, size_t len)
{
    (void)arg;
    sessions_on_told(world.sessions, data, len);
}

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
    bus_tick(world.bus);
    sessions_tick(world.sessions);
}

static void on_room_opened(void *arg, const char *name, bool open)
{
    (void)arg;
    if (world.presence != NULL)
        presence_note_room(world.presence, name, open);
}

static void load_config(const char *setting)
{
    static char *const environment[] = {NULL};
    char url[128];
    snprintf(url, sizeof url, "--redis=%s", broker_url(world.broker));
    const char *const words[] = {"yukizuri",
                                 url,
                                 "--gateway-id=" WORLD_GATEWAY,
                                 "--lease=10",
                                 "--leave-grace=15",
                                 "--ping=3600",
                                 setting,
                                 NULL};
    int count = 6 + (setting != NULL);
    struct config_result result =
        config_load(&world.config, count, (char *const *)(uintptr_t)words, environment);
    assert_string_equal(result.error, "");
}

static void make_bus(void)
{
    static const struct bus_callbacks callbacks = {on_up, on_bus_told, on_nothing};
    char error[256] = "";
    const struct bus_options options = {loop_base(), &world.config, &world.config.redis_url,
                                        &world.metrics, NULL};
    world.bus = bus_new(&options, &callbacks, NULL, error, sizeof error);
    assert_string_equal(error, "");
}

static void make_sessions(void)
{
    world.refusals = refusals_new(&world.metrics, NULL);
    world.sender = sender_new(false);
    world.poller = poller_new(loop_base(), &world.metrics, on_nothing, NULL);
    world.connections = connections_new(
        &(struct connections_options){loop_base(), world.poller, &world.metrics, world.refusals,
                                      (unsigned)world.config.ping, world.config.max_message});
    world.audiences = audiences_new(loop_base(), world.sender, &world.metrics, world.refusals);
    world.quota = quota_new(0);
    world.sessions = sessions_new(&(struct sessions_options){
        .base = loop_base(),
        .config = &world.config,
        .audiences = world.audiences,
        .bus = world.bus,
        .connections = world.connections,
        .quota = world.quota,
        .metrics = &world.metrics,
        .refusals = world.refusals,
        .on_room_opened = on_room_opened,
    });
}

static void make_presence(void)
{
    world.presence = presence_new(&(struct presence_options){
        .base = loop_base(),
        .bus = world.bus,
        .rooms = sessions_rooms(world.sessions),
        .metrics = &world.metrics,
        .on_taken = on_taken,
        .on_lapsed = on_lapsed,
        .on_refused = on_refused,
        .on_superseded = on_superseded,
        .on_waiting = on_waiting,
        .on_beside = on_beside,
    });
}

static void begin(const char *setting)
{
    static const struct timeval second = {1, 0};
    memset(&world, 0, sizeof world);
    memset(seen, 0, sizeof seen);
    signal(SIGPIPE, SIG_IGN);
    loop_open();
    world.broker = broker_new(loop_base());
    load_config(setting);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        world_when(defaults[i][0], NULL, defaults[i][1]);
    world_set_room("epoch-1", 7);
    make_bus();
    make_sessions();
    world.tick = event_new(loop_base(), -1, EV_PERSIST, on_tick, NULL);
    event_add(world.tick, &second);
    loop_watch(on_turn);
}

void world_open(const char *setting)
{
    begin(setting);
    assert_true(loop_until(flows, NULL, WORLD_DEADLINE_MS));
    sessions_admit(world.sessions);
}

void world_open_presence(void)
{
    begin(NULL);
    make_presence();
    assert_true(loop_until(flows, NULL, WORLD_DEADLINE_MS));
}

/* In the order of server_free. */
void world_close(void)
{
    loop_watch(NULL);
    bus_stop(world.bus);
    connections_free(world.connections);
    presence_free(world.presence);
    world.presence = NULL;
    for (size_t i = 0; i < world.room_count; i++)
        room_release(world.rooms[i]);
    sessions_free(world.sessions);
    bus_free(world.bus);
    quota_free(world.quota);
    audiences_free(world.audiences);
    sender_free(world.sender);
    poller_free(world.poller);
    event_free(world.tick);
    refusals_free(world.refusals);
    for (size_t i = 0; i < world.client_count; i++)
        client_free(world.clients[i]);
    broker_free(world.broker);
    config_done(&world.config);
    loop_close();
}

int world_setup(void **state)
{
    (void)state;
    world_open(NULL);
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    world_close();
    return 0;
}
