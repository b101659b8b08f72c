#include "unit.h"

#include "rooms_world.h"

#include "room/fanout.h"
#include "skipping_clock.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

static char *no_environment[] = {NULL};

/* --- What the rooms tell --- */

/* Of a room. */
struct owner {
    struct rooms_world *world;
    const struct room *room;
};

static void *make_owner(void *arg, struct room *room)
{
    struct owner *owner = malloc(sizeof *owner);
    *owner = (struct owner){arg, room};
    return owner;
}

static void tell(const struct owner *owner, const char *word)
{
    struct text *told = &owner->world->told;
    text_print(told, "%s%s:%s", told->len > 0 ? " " : "", word, room_name(owner->room));
}

static void on_opened(void *owner, bool open)
{
    tell(owner, open ? "opened" : "closed");
}

static void on_live(void *arg)
{
    const struct owner *owner = arg;
    assert_true(room_is_live(owner->room));
    tell(owner, "live");
}

static void on_happened(void *owner, bool hurry)
{
    tell(owner, hurry ? "hurry" : "news");
}

static void on_reset(void *owner)
{
    tell(owner, "reset");
}

static void on_epoch(void *owner)
{
    tell(owner, "epoch");
}

/* All of it since the last call, when everything has happened that follows from what was sent. */
const char *told(struct rooms_world *world)
{
    static char words[65536];
    fake_redis_settle(world->fake);
    snprintf(words, sizeof words, "%s", world->told.len > 0 ? world->told.data : "");
    text_clear(&world->told);
    return words;
}

/* --- Helpers --- */

void tick(struct rooms_world *world)
{
    rooms_tick(world->rooms);
}

void answer_kept(struct rooms_world *world, const char *epoch, unsigned head, const char *forks)
{
    fake_redis_answer(fake_redis_await(world->fake, "recent"), "['%s', %u, %u, '1', '%s', '']",
                      epoch, head, head, forks);
}

/* One member, Ann, and so many in all. */
void answer_roster(struct rooms_world *world, const char *epoch, unsigned seq, unsigned count)
{
    fake_redis_answer(fake_redis_await(world->fake, "roster"),
                      "['%s', %u, 0, %u, 'a', 'Ann', '', '']", epoch, seq, count);
}

struct room *open_room(struct rooms_world *world, const char *name)
{
    struct room *room = rooms_get(world->rooms, name);
    room_open(room);
    return room;
}

/* The last number is 3, of the epoch "one". */
struct room *open_live(struct rooms_world *world)
{
    struct room *room = open_room(world, "tea");
    answer_roster(world, "one", 3, 1);
    answer_kept(world, "one", 3, "");
    assert_string_equal(told(world), "opened:tea live:tea");
    return room;
}

void publish_message(struct rooms_world *world, unsigned seq)
{
    fake_redis_publish(world->fake, ROOMS_CHANNEL,
                       "{\"type\":\"message\",\"seq\":%u,\"at\":1,\"from\":{\"id\":\"a\",\"name\":"
                       "\"A\"},\"text\":\"hello\"}",
                       seq);
}

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    (void)owner;
    (void)text;
    (void)data;
    (void)len;
}

static void on_guest_closed(void *owner, const struct connection_end *end)
{
    (void)owner;
    (void)end;
}

void enter(struct rooms_world *world, struct room *room)
{
    static const struct connection_callbacks callbacks = {on_message, NULL, on_guest_closed, NULL};
    static const struct room_arrival arrival = {false, 0};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    world->peer = pair[1];
    world->guest = connection_new(world->connections, pair[0], &callbacks, world);
    world->guest_room = room;
    room_enter(room, world->guest, &arrival);
}

/* What the guest has received since the last call. */
const char *got(struct rooms_world *world)
{
    static char bytes[65536];
    fake_redis_settle(world->fake);
    ssize_t len = read(world->peer, bytes, sizeof bytes - 1);
    bytes[len > 0 ? len : 0] = '\0';
    for (ssize_t i = 0; i < len; i++)
        if (bytes[i] == '\0')
            bytes[i] = ' ';
    return bytes;
}

bool is_listening(const struct rooms_world *world, const char *channel)
{
    return fake_redis_is_subscribed(world->fake, channel);
}

size_t roster_calls(const struct rooms_world *world)
{
    return fake_redis_count(world->fake, "roster");
}

/* --- Life --- */

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static bool is_up(void *arg)
{
    return broker_is_healthy(arg);
}

static void flush(void *broker)
{
    broker_flush(broker);
}

static void make_broker(struct rooms_world *world)
{
    static const struct broker_callbacks callbacks = {on_nothing, on_control_message};
    char error[256];
    char redis[64];
    char *arguments[] = {(char[]){"yukizuri"}, (char[]){"--redis"}, redis};
    snprintf(redis, sizeof redis, "%s", fake_redis_url(world->fake));
    config_load(&world->config, 3, arguments, no_environment);
    const struct broker_options options = {world->base, &world->config, &world->config.redis_url,
                                           &world->metrics, NULL};
    world->broker = broker_new(&options, &callbacks, world, error, sizeof error);
    fake_redis_follow(world->fake, flush, world->broker);
    fake_redis_run_until(world->fake, is_up, world->broker);
}

/* In the order of gateway/loop.c. */
static void take_steps(void *arg)
{
    const struct rooms_world *world = arg;
    fanout_flush(world->fanout);
    poller_read(world->poller);
    broker_flush(world->broker);
    connections_flush(world->connections);
    broker_flush(world->broker);
}

int rooms_world_set_up(void **state)
{
    static const struct rooms_callbacks callbacks = {
        .on_made = make_owner,
        .on_freed = free,
        .on_opened = on_opened,
        .on_live = on_live,
        .on_happened = on_happened,
        .on_reset = on_reset,
        .on_epoch = on_epoch,
    };
    struct rooms_world *world = calloc(1, sizeof *world);
    clock_stop();
    world->base = event_base_new();
    world->fake = fake_redis_new(world->base);
    make_broker(world);
    world->sender = batch_send_new(false);
    world->poller = poller_new(world->base, &world->metrics);
    world->fanout = fanout_new(world->sender, &world->metrics, NULL);
    const struct connections_options connections = {
        .base = world->base,
        .poller = world->poller,
        .metrics = &world->metrics,
        .ping_s = 25,
        .max_message = 16384,
    };
    const struct rooms_options rooms = {world->base, fanout_queue(world->fanout), world->broker};
    world->connections = connections_new(&connections);
    world->rooms = rooms_new(&rooms, &callbacks, world);
    fake_redis_follow(world->fake, take_steps, world);
    *state = world;
    return 0;
}

int rooms_world_tear_down(void **state)
{
    struct rooms_world *world = *state;
    if (world->guest != NULL) {
        room_exit(world->guest_room, world->guest);
        close(world->peer);
    }
    connections_free(world->connections);
    rooms_free(world->rooms);
    fanout_free(world->fanout);
    poller_free(world->poller);
    batch_send_free(world->sender);
    broker_stop(world->broker);
    broker_free(world->broker);
    fake_redis_free(world->fake);
    event_base_free(world->base);
    config_done(&world->config);
    text_done(&world->told);
    free(world);
    clock_restart();
    return 0;
}
