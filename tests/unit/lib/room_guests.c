/* Who is in the room of a room_world: on real sockets, reading frames as a browser does. */
#include "unit.h"

#include "room_world.h"

#include "base/clock.h"
#include "protocol/frame.h"
#include "room/fanout.h"
#include "room/member_list.h"
#include "websocket/connections.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUIET_TURNS = 32, DEADLINE_MS = 60000 };

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

/* In the order of gateway/loop.c. */
static void iterate(const struct room_world *world, int flags)
{
    event_base_loop(world->base, flags);
    fanout_flush(world->fanout);
    poller_read(world->poller);
    connections_flush(world->connections);
}

static void run(const struct room_world *world)
{
    for (int i = 0; i < QUIET_TURNS; i++)
        iterate(world, EVLOOP_ONCE | EVLOOP_NONBLOCK);
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
        iterate(guest->world, EVLOOP_ONCE);
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
    static const struct connection_callbacks callbacks = {on_message, NULL, on_closed, NULL};
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
    text_print(&json, "[%s]", member_list_json(world->room, "", NULL));
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
    char *own = message_person_json(&(struct message_who){id, id, "", ""});
    text_print(&json, "[%s]", member_list_json(world->room, id, own));
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
