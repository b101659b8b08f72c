#include "unit.h"

#include "room_world.h"

#include "base/clock.h"
#include "room/fanout.h"
#include "room/feed_read.h"
#include "skipping_clock.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stddef.h>
#include <unistd.h>

#define ROOM_NAME "tea"

static char *no_environment[] = {NULL};

/* --- The layer below: a feed that tells what a test says --- */

struct broker {
    struct commands commands;
};

struct feed {
    struct feed_callbacks callbacks;
    void *owner;
    struct topic topic;
    char epoch[16];
    bool live;
    unsigned rosters_asked; /* since the last roster_asked */
    uint64_t trimmed;       /* since the last second_passes */
};

struct feed *feed_open(const struct commands *commands, struct pubsub *pubsub, const char *room,
                       const struct feed_callbacks *callbacks, void *owner)
{
    struct feed *feed = calloc(1, sizeof *feed);
    (void)pubsub;
    assert_string_equal(room, ROOM_NAME);
    *feed = (struct feed){.callbacks = *callbacks, .owner = owner, .epoch = "one"};
    feed->topic.commands = commands;
    return feed;
}

void feed_close(struct feed *feed)
{
    free(feed);
}

const char *feed_epoch(const struct feed *feed)
{
    return feed->epoch;
}

struct topic *feed_topic(struct feed *feed)
{
    return &feed->topic;
}

bool feed_was_silent(const struct feed *feed)
{
    (void)feed;
    return false;
}

bool feed_is_live(const struct feed *feed)
{
    return feed->live;
}

bool feed_is_current(const struct feed *feed)
{
    return feed->live;
}

void feed_read_roster(struct feed *feed)
{
    feed->rosters_asked++;
}

void feed_proceed(struct feed *feed)
{
    (void)feed;
}

void feed_tick(struct feed *feed)
{
    (void)feed;
}

void commands_trim(struct topic *topic, const char *epoch, uint64_t seq)
{
    struct feed *feed = (struct feed *)((char *)topic - offsetof(struct feed, topic));
    assert_string_equal(epoch, feed->epoch);
    assert_int_equal(feed->trimmed, 0);
    feed->trimmed = seq;
}

const struct commands *broker_commands(const struct broker *broker)
{
    return &broker->commands;
}

/* It is for the feed alone. */
struct pubsub *broker_pubsub(const struct broker *broker)
{
    (void)broker;
    return NULL;
}

static struct feed *feed_of(const struct room_world *world)
{
    return room_feed(world->room);
}

/* --- What happens --- */

static void on_happened(void *owner, bool hurry)
{
    struct room_world *world = owner;
    text_print(&world->happened, "%s%s@%" PRIu64, world->happened.len > 0 ? " " : "",
               hurry ? "hurry" : "news", room_seq(world->room));
}

const char *happened(struct room_world *world)
{
    static char words[1024];
    snprintf(words, sizeof words, "%s", world->happened.len > 0 ? world->happened.data : "");
    text_clear(&world->happened);
    return words;
}

static void add_persons(struct text *out, const char *ids)
{
    const char *comma = "";
    for (ids += strspn(ids, " "); *ids != '\0'; ids += strspn(ids, " "), comma = ",") {
        int len = (int)strcspn(ids, " ");
        text_print(out, "%s{\"id\":\"%.*s\",\"name\":\"%.*s-name\"}", comma, len, ids, len, ids);
        ids += len;
    }
}

static char *message_json(uint64_t seq)
{
    struct text json = TEXT_EMPTY;
    text_print(&json,
               "{\"type\":\"message\",\"seq\":%" PRIu64
               ",\"at\":1,\"from\":{\"id\":\"a\",\"name\":\"A\"},\"text\":\"hello\"}",
               seq);
    return text_take(&json);
}

static char *presence_json(uint64_t seq, const char *joined, const char *left, uint64_t count)
{
    struct text json = TEXT_EMPTY;
    text_print(&json, "{\"type\":\"presence\",\"seq\":%" PRIu64 ",\"joined\":[", seq);
    add_persons(&json, joined);
    text_add_string(&json, "],\"left\":[");
    add_persons(&json, left);
    text_print(&json, "],\"count\":%" PRIu64 "}", count);
    return text_take(&json);
}

/* Frees the JSON. It happens now, or, when `age_ms` is not negative, has happened. */
static void let_happen(struct room_world *world, char *json, int64_t age_ms)
{
    struct room_event event;
    struct feed *feed = feed_of(world);
    assert_int_equal(room_event_parse(json, strlen(json), 0, &event), 0);
    if (age_ms < 0)
        feed->callbacks.on_event(feed->owner, &event);
    else
        feed->callbacks.on_remember(feed->owner, &event, clock_monotonic_ms() - age_ms);
    room_event_done(&event);
    free(json);
}

/* Exact at `seq`. */
static void tell_roster(const struct feed *feed, uint64_t seq, const char *ids, uint64_t count)
{
    struct room_event roster;
    char *json = presence_json(1, ids, "", count);
    assert_int_equal(room_event_parse(json, strlen(json), 0, &roster), 0);
    roster.seq = seq;
    feed->callbacks.on_roster(feed->owner, &roster);
    room_event_done(&roster);
    free(json);
}

void begin_at(struct room_world *world, uint64_t seq)
{
    struct feed *feed = feed_of(world);
    feed->live = false;
    tell_roster(feed, seq, "", 0);
    feed->live = true;
    feed->callbacks.on_live(feed->owner);
}

void deliver_message(struct room_world *world, uint64_t seq)
{
    let_happen(world, message_json(seq), -1);
}

void deliver_presence(struct room_world *world, uint64_t seq, const char *joined, const char *left,
                      uint64_t count)
{
    let_happen(world, presence_json(seq, joined, left, count), -1);
}

void deliver_typing(struct room_world *world)
{
    static const char json[] = "{\"type\":\"typing\",\"from\":{\"id\":\"a\",\"name\":\"A\"}}";
    let_happen(world, strdup(json), -1);
}

void deliver_notice(struct room_world *world, const char *text)
{
    let_happen(world, strdup(text), -1);
}

void remember_message(struct room_world *world, uint64_t seq, int64_t age_ms)
{
    let_happen(world, message_json(seq), age_ms);
}

void remember_presence(struct room_world *world, uint64_t seq, int64_t age_ms)
{
    let_happen(world, presence_json(seq, "", "", 1), age_ms);
}

static void tell_gap(const struct feed *feed, struct feed_gap gap)
{
    feed->callbacks.on_gap(feed->owner, &gap);
}

static void begin_epoch(struct feed *feed, const char *epoch)
{
    snprintf(feed->epoch, sizeof feed->epoch, "%s", epoch);
}

void deliver_gap(struct room_world *world, uint64_t seq, uint64_t missed)
{
    tell_gap(feed_of(world), (struct feed_gap){.seq = seq, .missed = missed});
}

void deliver_epoch_reset(struct room_world *world, const char *epoch, uint64_t seq, uint64_t fork)
{
    struct feed *feed = feed_of(world);
    begin_epoch(feed, epoch);
    tell_gap(feed, (struct feed_gap){.seq = seq, .epoch_reset = true, .fork = fork});
}

void deliver_epoch(struct room_world *world, const char *epoch)
{
    struct feed *feed = feed_of(world);
    begin_epoch(feed, epoch);
    feed->callbacks.on_epoch(feed->owner);
}

void deliver_roster(struct room_world *world, const char *ids, uint64_t count)
{
    tell_roster(feed_of(world), room_seq(world->room), ids, count);
}

bool roster_asked(struct room_world *world)
{
    struct feed *feed = feed_of(world);
    unsigned asked = feed->rosters_asked;
    feed->rosters_asked = 0;
    assert_in_range(asked, 0, 1);
    return asked == 1;
}

uint64_t second_passes(struct room_world *world)
{
    struct feed *feed = feed_of(world);
    feed->trimmed = 0;
    rooms_tick(world->rooms);
    return feed->trimmed;
}

void doubt_roster(struct room_world *world)
{
    rooms_refresh_rosters(world->rooms);
    clock_skip_ms((int64_t)world->config.lease * 1000);
    second_passes(world);
    assert_true(roster_asked(world));
}

/* --- Life --- */

static void *make_owner(void *arg, struct room *room)
{
    struct room_world *world = arg;
    world->room = room;
    return world;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_opened(void *owner, bool open)
{
    (void)owner;
    (void)open;
}

void renew_room(struct room_world *world)
{
    static const struct rooms_callbacks callbacks = {
        .on_made = make_owner,
        .on_freed = on_nothing,
        .on_opened = on_opened,
        .on_live = on_nothing,
        .on_happened = on_happened,
        .on_reset = on_nothing,
        .on_epoch = on_nothing,
    };
    const struct rooms_options options = {world->base, fanout_queue(world->fanout), world->broker};
    rooms_free(world->rooms);
    world->rooms = rooms_new(&options, &callbacks, world);
    room_open(rooms_get(world->rooms, ROOM_NAME));
}

int room_world_set_up(void **state)
{
    struct room_world *world = calloc(1, sizeof *world);
    char *arguments[] = {(char[]){"yukizuri"}};
    config_load(&world->config, 1, arguments, no_environment);
    world->base = event_base_new();
    world->broker = calloc(1, sizeof *world->broker);
    world->broker->commands =
        (struct commands){.config = &world->config, .metrics = &world->metrics};
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
    world->connections = connections_new(&connections);
    renew_room(world);
    begin_at(world, 0);
    *state = world;
    return 0;
}

int room_world_tear_down(void **state)
{
    struct room_world *world = *state;
    for (size_t i = 0; i < world->guest_count; i++) {
        struct guest *guest = &world->guests[i];
        if (guest->connection != NULL)
            room_exit(world->room, guest->connection);
        close(guest->peer);
        text_done(&guest->bytes);
        text_done(&guest->words);
    }
    connections_free(world->connections);
    rooms_free(world->rooms);
    fanout_free(world->fanout);
    poller_free(world->poller);
    batch_send_free(world->sender);
    event_base_free(world->base);
    config_done(&world->config);
    text_done(&world->happened);
    free(world->broker);
    free(world);
    clock_restart();
    return 0;
}
