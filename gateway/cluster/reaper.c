/* One burial, from the claim to the end: room by room, a batch of names at a time. */
#include "cluster/internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/topic_call.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCAN_NAMES = 200,
    GRAVES_AT_ONCE = 8, /* some milliseconds of Redis' time: others wait no longer for theirs */
};

/* One gateway's burial, from the claim to the end. Freed when no room is left. */
struct burial {
    struct burials *burials;
    struct link waiting; /* graves; at most GRAVES_AT_ONCE others are being looked through */
    size_t open;
    bool opening; /* those who end meanwhile open no others */
    uint64_t taken_off;
    bool failed;
    bool stopped;       /* it gave its lease back */
    int64_t asked_ms;   /* when it was claimed */
    const char *spared; /* sessions of this life, when it is our own earlier one */
    char id[];
};

/* One room of it. */
struct grave {
    struct link link;      /* while it waits */
    struct burial *burial; /* NULL without a claim */
    char *room;
    struct topic topic; /* the room's */
    char cursor[24];
    int64_t asked_ms; /* when the gateway's key was looked for, or names for a batch */
};

bool burial_is_stale(int64_t asked_ms)
{
    return clock_monotonic_ms() - asked_ms > BURIAL_STALE_MS;
}

/* --- Room by room --- */

static bool is_own(const struct burial *burial)
{
    return burial->spared[0] != '\0';
}

/* Whoever is there for our id, and is not of this life, may be a successor's. */
static bool is_stopped(const struct burial *burial)
{
    return is_own(burial) && burial->burials->own_stopped;
}

static struct grave *new_grave(const struct burials *burials, const char *room)
{
    struct grave *grave = memory_new(sizeof *grave);
    list_init(&grave->link);
    grave->room = memory_copy_string(room);
    grave->topic = topic_of(bus_commands(burials->bus), burials->config, room);
    return grave;
}

static void free_grave(struct grave *grave)
{
    list_remove(&grave->link);
    free(grave->room);
    free(grave);
}

static void tell_end(const struct burial *burial)
{
    char text[96];
    snprintf(text, sizeof text, "%s; %" PRIu64 " members taken off",
             burial->stopped ? "it has stopped" : "its lease ran out", burial->taken_off);
    log_write(burial->burials->log,
              &(struct log_line){.level = burial->stopped ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                                 .kind = "gateway-buried",
                                 .id = burial->id,
                                 .message = text});
}

static void free_burial(struct burial *burial)
{
    burial->burials->own_burials -= is_own(burial);
    free(burial);
}

static void end_burial(struct burial *burial)
{
    struct burials *burials = burial->burials;
    const char *prefix = burials->config->redis_prefix;
    struct redis *redis = bus_commands(burials->bus)->redis;
    if (!burial->failed && !is_own(burial)) {
        struct key gateways = key_part(prefix, "gateways");
        struct key rooms = key_gateway_rooms(prefix, burial->id);
        struct key gone = key_gateway_gone(prefix, burial->id);
        redis_send_strings(redis, NULL, NULL, "SREM", gateways.text, burial->id, NULL);
        redis_send_strings(redis, NULL, NULL, "DEL", rooms.text, NULL);
        redis_send_strings(redis, NULL, NULL, "DEL", gone.text, NULL);
        tell_end(burial);
    }
    free_burial(burial);
}

static void check_and_scan(struct grave *grave);

/* Takes the burial over: ends it when nothing is left to do. */
static void open_graves(struct burial *burial)
{
    if (burial->opening)
        return;
    burial->opening = true;
    while (burial->open < GRAVES_AT_ONCE && !list_is_empty(&burial->waiting)) {
        struct grave *grave = LIST_ITEM(burial->waiting.next, struct grave, link);
        list_remove(&grave->link);
        burial->open++;
        check_and_scan(grave);
    }
    burial->opening = false;
    if (burial->open == 0)
        end_burial(burial);
}

/* What was done for another gateway need not be done again by whoever takes an interrupted burial
 * up; and while there is progress, nobody does. */
static void note_done(const struct grave *grave)
{
    const struct burials *burials = grave->burial->burials;
    const char *prefix = burials->config->redis_prefix;
    struct redis *redis = bus_commands(burials->bus)->redis;
    struct key rooms = key_gateway_rooms(prefix, grave->burial->id);
    struct key claim = key_bury(prefix, grave->burial->id);
    char ms[TEXT_NUMBER_BYTES];
    text_number(burials->config->lease * 1000, ms);
    redis_send_strings(redis, NULL, NULL, "SREM", rooms.text, grave->room, NULL);
    redis_send_strings(redis, NULL, NULL, "PEXPIRE", claim.text, ms, NULL);
}

static void end_grave(struct grave *grave, bool failed)
{
    struct burial *burial = grave->burial;
    burial->open--;
    burial->failed |= failed;
    if (failed && is_own(burial) && !is_stopped(burial)) {
        /* once more at the next poll: nobody else knows of it */
        grave->burial = NULL;
        list_add(&burial->burials->own_graves, &grave->link);
    } else {
        if (!failed && !is_own(burial))
            note_done(grave);
        free_grave(grave);
    }
    open_graves(burial);
}

static void scan(struct grave *grave);

static void on_taken_off(void *arg, const struct redis_reply *reply)
{
    struct grave *grave = arg;
    grave->burial->taken_off += redis_reply_number(reply);
    if (redis_reply_is_error(reply))
        end_grave(grave, true);
    else if (strcmp(grave->cursor, "0") == 0)
        end_grave(grave, false);
    else
        check_and_scan(grave);
}

static void take_off(struct grave *grave, const struct redis_reply *names)
{
    struct bus *bus = grave->burial->burials->bus;
    struct script_call call;
    topic_call_begin(&call, "bury", &grave->topic, &bus_commands(bus)->settings);
    topic_call_add_key(&call, &grave->topic, "members", NULL);
    script_add(&call, grave->burial->id);
    topic_call_add_base(&call, &grave->topic, "member");
    topic_call_add_base(&call, &grave->topic, "left");
    script_add(&call, grave->burial->spared);
    for (size_t i = 0; i < redis_reply_count(names) && call.words.count < REDIS_WORDS; i++) {
        size_t len;
        const char *name = redis_reply_string(redis_reply_at(names, i), &len);
        if (name != NULL)
            redis_words_add(&call.words, name, len);
    }
    if (script_run(bus_commands(bus)->redis, &call, on_taken_off, grave) != 0)
        end_grave(grave, true);
}

/* A key that is of another type by hand tells nothing of anybody, and never would. */
static void drop_broken(struct burials *burials, const char *key)
{
    burial_tell_mended(burials, key);
    redis_send_strings(bus_commands(burials->bus)->redis, NULL, NULL, "DEL", key, NULL);
}

static void on_scanned(void *arg, const struct redis_reply *reply)
{
    struct grave *grave = arg;
    struct key members = key_part(grave->topic.base.text, "members");
    if (redis_reply_is_wrong_type(reply)) {
        drop_broken(grave->burial->burials, members.text);
        end_grave(grave, false);
        return;
    }
    const char *cursor = redis_reply_string(redis_reply_at(reply, 0), NULL);
    /* one that stands still would be followed for ever */
    if (cursor == NULL || burial_is_stale(grave->asked_ms) || is_stopped(grave->burial) ||
        (strcmp(cursor, "0") != 0 && strcmp(cursor, grave->cursor) == 0)) {
        end_grave(grave, true);
        return;
    }
    snprintf(grave->cursor, sizeof grave->cursor, "%s", cursor);
    take_off(grave, redis_reply_at(reply, 1));
}

/* Before each batch: has the gateway come back? Then its members are its own again. */
static void on_still_dead(void *arg, const struct redis_reply *reply)
{
    struct grave *grave = arg;
    if (redis_reply_is_error(reply) || redis_reply_integer(reply) != 0 ||
        burial_is_stale(grave->asked_ms))
        end_grave(grave, true);
    else
        scan(grave);
}

static void check_and_scan(struct grave *grave)
{
    const struct burial *burial = grave->burial;
    assert(burial != NULL);
    struct key key = key_gateway(burial->burials->config->redis_prefix, burial->id);
    grave->asked_ms = clock_monotonic_ms();
    if (!is_stopped(burial) && is_own(burial)) {
        scan(grave);
        return;
    }
    if (is_stopped(burial) ||
        redis_send_strings(bus_commands(burial->burials->bus)->redis, on_still_dead, grave,
                           "EXISTS", key.text, NULL) != 0)
        end_grave(grave, true);
}

static void scan(struct grave *grave)
{
    char count[TEXT_NUMBER_BYTES];
    struct key members = key_part(grave->topic.base.text, "members");
    grave->asked_ms = clock_monotonic_ms();
    text_number(SCAN_NAMES, count);
    if (redis_send_strings(bus_commands(grave->burial->burials->bus)->redis, on_scanned, grave,
                           "SSCAN", members.text, grave->cursor, "COUNT", count, NULL) != 0)
        end_grave(grave, true);
}

static void add_grave(struct burial *burial, struct grave *grave)
{
    list_remove(&grave->link);
    list_add(&burial->waiting, &grave->link);
    grave->burial = burial;
    memcpy(grave->cursor, "0", 2);
}

static void on_rooms(void *arg, const struct redis_reply *reply)
{
    struct burial *burial = arg;
    struct key rooms = key_gateway_rooms(burial->burials->config->redis_prefix, burial->id);
    if (redis_reply_is_wrong_type(reply))
        drop_broken(burial->burials, rooms.text);
    else
        burial->failed |= redis_reply_is_error(reply);
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        const char *room = redis_reply_string(redis_reply_at(reply, i), NULL);
        if (room != NULL)
            add_grave(burial, new_grave(burial->burials, room));
    }
    open_graves(burial);
}

static void add_own_graves(struct burial *burial)
{
    while (!list_is_empty(&burial->burials->own_graves))
        add_grave(burial, LIST_ITEM(burial->burials->own_graves.next, struct grave, link));
    open_graves(burial);
}

/* --- The claim --- */

static void on_given_end(void *arg, const struct redis_reply *reply)
{
    if (redis_reply_integer(reply) != 0)
        burial_tell_mended(arg, "bury");
}

/* Somebody else has the burial: whoever that is, it must end. */
static void give_end(struct burials *burials, const char *claim)
{
    char ms[TEXT_NUMBER_BYTES];
    text_number(burials->config->lease * 1000, ms);
    redis_send_strings(bus_commands(burials->bus)->redis, on_given_end, burials, "PEXPIRE", claim,
                       ms, "NX", NULL);
}

static void on_claimed(void *arg, const struct redis_reply *reply)
{
    struct burial *burial = arg;
    struct key rooms = key_gateway_rooms(burial->burials->config->redis_prefix, burial->id);
    struct key claim = key_bury(burial->burials->config->redis_prefix, burial->id);
    bool ours = !redis_reply_is_error(reply) && redis_reply_string(reply, NULL) != NULL &&
                !burial_is_stale(burial->asked_ms);
    if (!ours && !redis_reply_is_error(reply))
        give_end(burial->burials, claim.text);
    if (ours && is_own(burial))
        add_own_graves(burial);
    else if (!ours || redis_send_strings(bus_commands(burial->burials->bus)->redis, on_rooms,
                                         burial, "SMEMBERS", rooms.text, NULL) != 0)
        free_burial(burial);
}

void burial_claim(struct burials *burials, const char *id, bool stopped)
{
    bool own = strcmp(id, burials->config->gateway_id) == 0;
    struct burial *burial = memory_new(sizeof *burial + strlen(id) + 1);
    struct key key = key_bury(burials->config->redis_prefix, id);
    char ms[TEXT_NUMBER_BYTES];
    burial->burials = burials;
    burial->stopped = stopped;
    list_init(&burial->waiting);
    burial->asked_ms = clock_monotonic_ms();
    burial->spared = own ? bus_life(burials->bus) : "";
    burials->own_burials += own;
    memcpy(burial->id, id, strlen(id) + 1);
    text_number(burials->config->lease * 1000, ms);
    if (redis_send_strings(bus_commands(burials->bus)->redis, on_claimed, burial, "SET", key.text,
                           burials->config->gateway_id, "NX", "PX", ms, NULL) != 0)
        free_burial(burial);
}

/* --- Our own earlier life --- */

void burials_note_own(struct burials *burials, const struct redis_reply *rooms)
{
    graves_free_own(burials);
    for (size_t i = 0; i < redis_reply_count(rooms); i++) {
        const char *room = redis_reply_string(redis_reply_at(rooms, i), NULL);
        if (room != NULL)
            list_add(&burials->own_graves, &new_grave(burials, room)->link);
    }
}

bool burials_have_own(const struct burials *burials)
{
    return burials->own_burials > 0 || !list_is_empty(&burials->own_graves);
}

void burials_hold_own(struct burials *burials)
{
    burials->held_ms = clock_monotonic_ms();
}

void burials_stop_own(struct burials *burials)
{
    burials->own_stopped = true;
    graves_free_own(burials);
}

void graves_free_own(struct burials *burials)
{
    while (!list_is_empty(&burials->own_graves))
        free_grave(LIST_ITEM(burials->own_graves.next, struct grave, link));
}
