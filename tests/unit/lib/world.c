#include "unit.h"

#include "world_internal.h"

#include "cluster/membership.h"
#include "room/batch_send.h"
#include "room/fanout.h"
#include "room/registry.h"
#include "session/delivery_time.h"
#include "session/drain.h"
#include "session/moderation.h"
#include "telemetry/refusals.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <signal.h>

enum { LINGER_MS = 40000 /* a room that nobody uses is closed by then */ };

struct world world;

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

static void note_id_shared(bool id_shared)
{
    if (id_shared != world.id_shared)
        tell(id_shared ? "shared" : "alone");
    world.id_shared = id_shared;
    sessions_set_id_shared(world.sessions, id_shared);
}

static void on_lease_news(void *arg, enum lease_news news, const char *why)
{
    static const char *const words[] = {
        [LEASE_TAKEN] = "taken",     [LEASE_LAPSED] = "lapsed",
        [LEASE_REFUSED] = "refused", [LEASE_SUPERSEDED] = "superseded",
        [LEASE_AWAITED] = "waiting", [LEASE_NOT_AWAITED] = "waiting-no-more",
        [LEASE_GONE] = NULL,
    };
    (void)arg;
    if (words[news] != NULL)
        tell(words[news]);
    if (news == LEASE_TAKEN)
        sessions_admit(world.sessions);
    else if (news == LEASE_LAPSED)
        sessions_on_lapsed(world.sessions);
    else if (news == LEASE_REFUSED)
        assert_non_null(strstr(why, WORLD_GATEWAY));
    else if (news == LEASE_SHARED || news == LEASE_NOT_SHARED)
        note_id_shared(news == LEASE_SHARED);
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
        rooms_release(world.rooms[--world.room_count]);
    loop_pass_ms(LINGER_MS);
}

void world_drain(void)
{
    membership_drain(world.membership);
}

bool world_give_back(void)
{
    return membership_leave(world.membership, on_left, NULL) == 0;
}

void world_lease_lapsed(void)
{
    sessions_on_lapsed(world.sessions);
}

void world_set_id_shared(bool id_shared)
{
    sessions_set_id_shared(world.sessions, id_shared);
}

void world_drain_members(void)
{
    sessions_drain(world.sessions);
}

/* --- Redis --- */

void world_redis_away(void)
{
    fake_redis_set_away(world.fake, true);
    loop_settle();
}

static bool is_healthy(void *arg)
{
    (void)arg;
    return broker_is_healthy(world.broker);
}

void world_redis_back(void)
{
    fake_redis_set_away(world.fake, false);
    assert_true(loop_until(is_healthy, NULL, 2 * WORLD_DEADLINE_MS));
}

void world_redis_hides(void)
{
    fake_redis_always(world.fake, "INFO", "'redis_version:7.0.0\r\nmaster_replid:first\r\n'");
}

void world_redis_has_address_key(bool has)
{
    fake_redis_always(world.fake, "GET",
                      has ? "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'" : "null");
}

void world_redis_tells_no_bans(void)
{
    fake_redis_always(world.fake, "GET", NULL);
}

void world_redis_awaited(void)
{
    redis_hold(broker_commands(world.broker)->redis);
    world_redis_away();
    moderation_on_channel(world.sessions, true);
}

/* --- Life --- */

static void on_up(void *arg)
{
    (void)arg;
    sessions_on_up(world.sessions);
    if (world.membership != NULL)
        membership_up(world.membership);
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    (void)arg;
    sessions_on_control_message(world.sessions, data, len);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
    broker_tick(world.broker);
    sessions_tick(world.sessions);
}

static void on_admitting(void *arg)
{
    (void)arg;
    world.admitting++;
}

unsigned world_count_admitting(void)
{
    return world.admitting;
}

static void on_room_opened(void *arg, const char *name, bool open)
{
    (void)arg;
    if (world.membership != NULL)
        membership_note_room(world.membership, name, open);
}

static void load_config(const char *setting)
{
    static char *const environment[] = {NULL};
    char url[128];
    snprintf(url, sizeof url, "--redis=%s", fake_redis_url(world.fake));
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

static void make_broker(void)
{
    static const struct broker_callbacks callbacks = {on_up, on_control_message};
    char error[256] = "";
    const struct broker_options options = {loop_base(), &world.config, &world.config.redis_url,
                                           &world.metrics, NULL};
    world.broker = broker_new(&options, &callbacks, NULL, error, sizeof error);
    assert_string_equal(error, "");
}

static void make_sessions(void)
{
    world.refusals = refusals_new(&world.metrics, NULL);
    world.sender = batch_send_new(false);
    world.poller = poller_new(loop_base(), &world.metrics);
    world.connections = connections_new(&(struct connections_options){
        loop_base(), world.poller, &world.metrics, world.refusals, (unsigned)world.config.ping,
        world.config.max_message, world.config.max_fragments, world.config.max_unsent});
    world.fanout = fanout_new(world.sender, &world.metrics, world.refusals);
    world.quota = quota_new(0);
    world.sessions = sessions_new(&(struct sessions_options){
        .base = loop_base(),
        .config = &world.config,
        .queue = fanout_queue(world.fanout),
        .broker = world.broker,
        .connections = world.connections,
        .quota = world.quota,
        .metrics = &world.metrics,
        .refusals = world.refusals,
        .on_admitting = on_admitting,
        .on_room_opened = on_room_opened,
    });
}

static void make_membership(void)
{
    world.membership = membership_new(&(struct membership_options){
        .base = loop_base(),
        .broker = world.broker,
        .rooms = sessions_rooms(world.sessions),
        .metrics = &world.metrics,
        .on_news = on_lease_news,
    });
}

/* In the order of gateway/loop.c. */
static void on_iteration(void)
{
    fanout_flush(world.fanout);
    poller_read(world.poller);
    broker_flush(world.broker);
    connections_flush(world.connections);
    broker_flush(world.broker);
    world_note_calls();
    sessions_end_iteration(world.sessions);
}

static void begin(const char *setting)
{
    static const struct timeval second = {1, 0};
    memset(&world, 0, sizeof world);
    signal(SIGPIPE, SIG_IGN);
    loop_open();
    world.fake = fake_redis_new(loop_base());
    load_config(setting);
    world_forget_calls();
    world_set_room("epoch-1", 7);
    make_broker();
    make_sessions();
    world.tick = event_new(loop_base(), -1, EV_PERSIST, on_tick, NULL);
    event_add(world.tick, &second);
    loop_watch(on_iteration);
}

void world_open(const char *setting)
{
    begin(setting);
    assert_true(loop_until(is_healthy, NULL, WORLD_DEADLINE_MS));
    loop_settle(); /* the key of today's addresses is there */
    sessions_admit(world.sessions);
}

void world_open_membership(void)
{
    begin(NULL);
    make_membership();
    assert_true(loop_until(is_healthy, NULL, WORLD_DEADLINE_MS));
}

/* In the order of server_free. */
void world_close(void)
{
    loop_watch(NULL);
    broker_stop(world.broker);
    connections_free(world.connections);
    membership_free(world.membership);
    world.membership = NULL;
    for (size_t i = 0; i < world.room_count; i++)
        rooms_release(world.rooms[i]);
    sessions_free(world.sessions);
    broker_free(world.broker);
    quota_free(world.quota);
    fanout_free(world.fanout);
    batch_send_free(world.sender);
    poller_free(world.poller);
    event_free(world.tick);
    refusals_free(world.refusals);
    for (size_t i = 0; i < world.client_count; i++)
        client_free(world.clients[i]);
    fake_redis_free(world.fake);
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
