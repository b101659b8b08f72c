#include "unit.h"

#include "room_world.h"

#include "base/clock.h"
#include "room/subscribers.h"
#include "skipping_clock.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_NAME "tea"

enum { QUIET_TURNS = 16, DEADLINE_MS = 60000 };

static char *no_environment[] = {NULL};

/* --- The layer below: a feed that tells what a test says --- */

struct bus {
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

struct feed *feed_open(const struct feed_options *options, const char *room,
                       const struct feed_callbacks *callbacks, void *owner)
{
    struct feed *feed = calloc(1, sizeof *feed);
    assert_string_equal(room, ROOM_NAME);
    *feed = (struct feed){.callbacks = *callbacks, .owner = owner, .epoch = "one"};
    feed->topic.commands = options->commands;
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

void feed_on_up(struct feed *feed)
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

const struct commands *bus_commands(const struct bus *bus)
{
    return &bus->commands;
}

/* It is for the feed alone. */
struct pubsub *bus_pubsub(const struct bus *bus)
{
    (void)bus;
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

void begin_at(struct room_world *world, uint64_t seq)
{
    struct feed *feed = feed_of(world);
    feed->callbacks.on_start(feed->owner, seq);
    feed->live = true;
    feed->callbacks.on_live(feed->owner);
}

void hear_message(struct room_world *world, uint64_t seq)
{
    let_happen(world, message_json(seq), -1);
}

void hear_presence(struct room_world *world, uint64_t seq, const char *joined, const char *left,
                   uint64_t count)
{
    let_happen(world, presence_json(seq, joined, left, count), -1);
}

void hear_typing(struct room_world *world)
{
    static const char json[] = "{\"type\":\"typing\",\"from\":{\"id\":\"a\",\"name\":\"A\"}}";
    let_happen(world, strdup(json), -1);
}

void hear_notice(struct room_world *world, const char *text)
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

void hear_gap(struct room_world *world, uint64_t seq, uint64_t missed)
{
    tell_gap(feed_of(world), (struct feed_gap){.seq = seq, .missed = missed});
}

void hear_another_epoch(struct room_world *world, const char *epoch, uint64_t seq, uint64_t fork)
{
    struct feed *feed = feed_of(world);
    begin_epoch(feed, epoch);
    tell_gap(feed, (struct feed_gap){.seq = seq, .anew = true, .fork = fork});
}

void hear_epoch(struct room_world *world, const char *epoch)
{
    struct feed *feed = feed_of(world);
    begin_epoch(feed, epoch);
    feed->callbacks.on_epoch(feed->owner);
}

void hear_roster(struct room_world *world, const char *ids, uint64_t count)
{
    struct feed *feed = feed_of(world);
    feed->callbacks.on_roster_begin(feed->owner);
    for (ids += strspn(ids, " "); *ids != '\0'; ids += strspn(ids, " ")) {
        char id[16], name[32];
        size_t len = strcspn(ids, " ");
        snprintf(id, sizeof id, "%.*s", (int)len, ids);
        snprintf(name, sizeof name, "%s-name", id);
        feed->callbacks.on_roster_add(feed->owner, id, name, "");
        ids += len;
    }
    feed->callbacks.on_roster_done(feed->owner, count);
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
    rooms_doubt_rosters(world->rooms);
    clock_skip_ms((int64_t)world->config.lease * 1000);
    second_passes(world);
    assert_true(roster_asked(world));
}

/* --- What somebody gets --- */

static void forget_person(struct guest *guest, const char *id)
{
    char word[32];
    snprintf(word, sizeof word, "%s ", id);
    for (char *at = guest->people; (at = strstr(at, word)) != NULL; at++)
        if (at == guest->people || at[-1] == ' ') {
            memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
            return;
        }
}

static void know_person(struct guest *guest, const char *id)
{
    size_t len = strlen(guest->people);
    snprintf(guest->people + len, sizeof guest->people - len, "%s ", id);
}

static const char *id_of(const json_t *person)
{
    return json_string_value(json_object_get(person, "id"));
}

/* As a browser takes it: by id, so that what is known already changes nothing. */
static void take_persons(struct guest *guest, const json_t *persons, const char *sign)
{
    size_t index;
    json_t *person;
    json_array_foreach(persons, index, person)
    {
        forget_person(guest, id_of(person));
        if (*sign == '+')
            know_person(guest, id_of(person));
        text_print(&guest->words, "%s%s", sign, id_of(person));
    }
}

static uint64_t number(const json_t *frame, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(frame, name));
}

static void take_list(struct guest *guest, const json_t *members)
{
    size_t index;
    json_t *person;
    guest->people[0] = '\0';
    json_array_foreach(members, index, person) know_person(guest, id_of(person));
}

static void take_frame(struct guest *guest, const char *data, size_t len)
{
    json_t *frame = json_loadb(data, len, 0, NULL);
    const char *type = json_string_value(json_object_get(frame, "type"));
    struct text *words = &guest->words;
    assert_non_null(type); /* JSON, and complete */
    text_add_string(words, words->len > 0 ? " " : "");
    if (strcmp(type, "message") == 0) {
        text_print(words, "m%" PRIu64, number(frame, "seq"));
    } else if (strcmp(type, "presence") == 0) {
        text_print(words, "p%" PRIu64, number(frame, "seq"));
        take_persons(guest, json_object_get(frame, "joined"), "+");
        take_persons(guest, json_object_get(frame, "left"), "-");
        guest->count = number(frame, "count");
        text_print(words, "=%" PRIu64, guest->count);
    } else if (strcmp(type, "gap") == 0) {
        text_print(words, "gap:%" PRIu64 "/%" PRIu64, number(frame, "seq"),
                   number(frame, "missed"));
    } else if (strcmp(type, "epoch") == 0) {
        text_print(words, "epoch:%s@%" PRIu64, json_string_value(json_object_get(frame, "epoch")),
                   number(frame, "seq"));
    } else if (strcmp(type, "members") == 0) {
        guest->count = number(frame, "count");
        take_list(guest, json_object_get(frame, "members"));
        text_print(words, "members:%" PRIu64 "=%" PRIu64, number(frame, "seq"), guest->count);
    } else {
        text_add_string(words, type);
        if (strcmp(type, "notice") == 0)
            text_print(words, ":%s", json_string_value(json_object_get(frame, "text")));
    }
    json_decref(frame);
}

/* Takes the first frame of what was received; false when it is not complete. Frames of a server are
 * not masked (RFC 6455, section 5.2). */
static bool take_bytes(struct guest *guest)
{
    struct text *bytes = &guest->bytes;
    const uint8_t *data = (const uint8_t *)bytes->data;
    if (bytes->len < 4)
        return false;
    bool longer = data[1] == 126;
    size_t head = longer ? 4 : 2;
    size_t len = longer ? (size_t)data[2] << 8 | data[3] : data[1];
    assert_true(data[1] <= 126);
    if (bytes->len < head + len)
        return false;
    if ((data[0] & 15) == FRAME_TEXT)
        take_frame(guest, bytes->data + head, len);
    else if ((data[0] & 15) == FRAME_CLOSE)
        guest->closed = (unsigned)data[head] << 8 | data[head + 1];
    bytes->len -= head + len;
    memmove(bytes->data, bytes->data + head + len, bytes->len);
    return true;
}

static void receive(struct guest *guest)
{
    char bytes[65536];
    ssize_t len;
    while ((len = read(guest->peer, bytes, sizeof bytes)) > 0)
        text_add(&guest->bytes, bytes, (size_t)len);
    while (take_bytes(guest))
        ;
}

static void run(const struct room_world *world)
{
    for (int i = 0; i < QUIET_TURNS; i++)
        event_base_loop(world->base, EVLOOP_NONBLOCK);
}

/* The words so far; they are forgotten with the next call. */
static const char *take_words(struct guest *guest)
{
    static char words[65536];
    snprintf(words, sizeof words, "%s", guest->words.len > 0 ? guest->words.data : "");
    text_clear(&guest->words);
    return words;
}

const char *got(struct guest *guest)
{
    run(guest->world);
    receive(guest);
    return take_words(guest);
}

const char *await_news(struct guest *guest)
{
    const struct timeval soon = {0, 10000};
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (guest->words.len == 0 && clock_monotonic_ms() < end_ms) {
        event_base_loopexit(guest->world->base, &soon); /* the peer is not in the loop */
        event_base_loop(guest->world->base, EVLOOP_ONCE);
        receive(guest);
    }
    return take_words(guest);
}

/* --- Coming and going --- */

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    (void)owner;
    (void)text;
    (void)data;
    (void)len;
}

static void on_closed(void *owner, const struct connection_end *end)
{
    struct guest *guest = owner;
    (void)end;
    room_exit(guest->world->room, guest->connection);
    guest->connection = NULL;
}

static struct guest *admit(struct room_world *world, const struct room_arrival *entry)
{
    static const struct connection_callbacks callbacks = {on_message, NULL, on_closed};
    int pair[2];
    assert_true(world->guest_count < ROOM_GUESTS);
    struct guest *guest = &world->guests[world->guest_count++];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *guest = (struct guest){.world = world, .peer = pair[1]};
    guest->connection = connection_new(world->connections, pair[0], &callbacks, guest);
    guest->view = room_enter(world->room, guest->connection, entry);
    guest->count = guest->view.count;
    return guest;
}

struct guest *enter(struct room_world *world)
{
    const struct room_arrival entry = {false, 0};
    struct guest *guest = admit(world, &entry);
    struct text json = TEXT_EMPTY;
    text_print(&json, "[%s]", room_list(world->room, "", NULL));
    json_t *members = json_loads(json.data, 0, NULL);
    take_list(guest, members);
    json_decref(members);
    text_done(&json);
    return guest;
}

struct guest *come_back(struct room_world *world, uint64_t since)
{
    const struct room_arrival entry = {true, since};
    return admit(world, &entry);
}

void leave(struct guest *guest)
{
    room_exit(guest->world->room, guest->connection);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *list_for(struct room_world *world, const char *id)
{
    static char sorted[4096];
    struct text json = TEXT_EMPTY;
    const char *ids[512];
    size_t index;
    json_t *person;
    char *own = message_person_json(id, id, "");
    text_print(&json, "[%s]", room_list(world->room, id, own));
    json_t *members = json_loads(json.data, 0, NULL);
    json_array_foreach(members, index, person) ids[index] = id_of(person);
    qsort(ids, json_array_size(members), sizeof *ids, by_text);
    sorted[0] = '\0';
    for (size_t i = 0; i < json_array_size(members); i++)
        snprintf(sorted + strlen(sorted), sizeof sorted - strlen(sorted), "%s%s", i > 0 ? " " : "",
                 ids[i]);
    json_decref(members);
    text_done(&json);
    free(own);
    return sorted;
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
    const struct rooms_options options = {world->base, world->audiences, world->bus};
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
    world->bus = calloc(1, sizeof *world->bus);
    world->bus->commands = (struct commands){.config = &world->config, .metrics = &world->metrics};
    world->sender = sender_new(false);
    world->poller = poller_new(world->base, &world->metrics, NULL, NULL);
    world->audiences = audiences_new(world->base, world->sender, &world->metrics, NULL);
    const struct connections_options connections = {
        world->base, world->poller, &world->metrics, NULL, 25, 16384};
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
    audiences_free(world->audiences);
    poller_free(world->poller);
    sender_free(world->sender);
    event_base_free(world->base);
    config_done(&world->config);
    text_done(&world->happened);
    free(world->bus);
    free(world);
    clock_restart();
    return 0;
}
