#include "presence.h"

#include "burial.h"
#include "clock.h"
#include "keys.h"
#include "memory.h"
#include "text.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* The count alone does not show one room lost and another one too many. */
enum { RENEWALS_TO_WRITE = 16 };

struct presence {
    struct presence_options options;
    const struct config *config;
    struct key own;       /* P:gateway:ID */
    struct key own_rooms; /* P:gateway:ID:rooms */
    struct key gateways;  /* P:gateways */
    struct event *timer;
    struct burials *burials;
    bool leased; /* the lease was taken since the start */
    bool earlier_life_known;
    size_t rooms_open;
    unsigned renewals; /* since the rooms were written as a whole */
};

/* --- The lease --- */

static void on_exists(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    if (redis_reply_is_error(reply))
        return;
    bool lapsed = presence->leased && redis_reply_integer(reply) == 0;
    presence->leased = true;
    if (!lapsed)
        return;
    log_write(presence->options.log, &(struct log_line){
                                         .level = LOG_LEVEL_WARN,
                                         .kind = "lease-lost",
                                         .message = "the lease ran out or Redis forgot it; putting "
                                                    "all members back",
                                     });
    presence->options.on_lapsed(presence->options.arg);
}

/* While Redis takes no writes, the leases of the living run out as well. */
static void on_renewed(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    if (redis_reply_is_error(reply))
        burials_doubt(presence->burials);
}

/* Sends SADD and lets the set expire, as one: a connection cut in between must not leave a key that
 * lives for ever. */
static void send_kept(struct presence *presence, const char *key, const struct redis_words *add)
{
    struct redis *redis = bus_commands(presence->options.bus);
    char ttl[TEXT_NUMBER_BYTES];
    text_number(bus_member_ttl(presence->config), ttl);
    redis_send_strings(redis, NULL, NULL, "MULTI", NULL);
    redis_send(redis, add, NULL, NULL);
    redis_send_strings(redis, NULL, NULL, "EXPIRE", key, ttl, NULL);
    redis_send_strings(redis, NULL, NULL, "EXEC", NULL);
}

static void begin_add(struct redis_words *words, const char *key)
{
    words->count = 0;
    redis_words_add_string(words, "SADD");
    redis_words_add_string(words, key);
}

static void keep_in_set(struct presence *presence, const char *key, const char *item)
{
    struct redis_words words;
    begin_add(&words, key);
    redis_words_add_string(&words, item);
    send_kept(presence, key, &words);
}

/* Many rooms in a command: their number must not be what a lease costs. */
static void write_rooms(struct presence *presence)
{
    const char *key = presence->own_rooms.text;
    struct redis_words words;
    struct place *place;
    presence->renewals = 0;
    begin_add(&words, key);
    for (size_t at = 0; (place = rooms_next(presence->options.rooms, &at)) != NULL;) {
        if (place->feed == NULL)
            continue;
        redis_words_add_string(&words, place->name);
        if (words.count == REDIS_WORDS) {
            send_kept(presence, key, &words);
            begin_add(&words, key);
        }
    }
    if (words.count > 2)
        send_kept(presence, key, &words);
}

static void on_rooms_counted(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    bool broken = redis_reply_is_error(reply); /* by hand: another type */
    if (reply == NULL)
        return;
    if (broken)
        redis_send_strings(bus_commands(presence->options.bus), NULL, NULL, "DEL",
                           presence->own_rooms.text, NULL);
    if (broken || (size_t)redis_reply_integer(reply) != presence->rooms_open)
        write_rooms(presence);
}

/* Rooms are noted as they open and close, so mostly the set needs no more than to go on living. */
static void keep_rooms(struct presence *presence)
{
    struct redis *redis = bus_commands(presence->options.bus);
    const char *key = presence->own_rooms.text;
    char ttl[TEXT_NUMBER_BYTES];
    text_number(bus_member_ttl(presence->config), ttl);
    if (++presence->renewals >= RENEWALS_TO_WRITE)
        write_rooms(presence);
    redis_send_strings(redis, NULL, NULL, "EXPIRE", key, ttl, NULL);
    redis_send_strings(redis, on_rooms_counted, presence, "SCARD", key, NULL);
}

static void renew(struct presence *presence)
{
    struct redis *redis = bus_commands(presence->options.bus);
    const struct metrics *metrics = presence->options.metrics;
    char connections[TEXT_NUMBER_BYTES];
    char started[TEXT_NUMBER_BYTES];
    char lease[TEXT_NUMBER_BYTES];
    text_number(metrics->connections, connections);
    text_number((uint64_t)metrics->started_at_ms, started);
    text_number(presence->config->lease * 1000, lease);
    if (redis_send_strings(redis, on_exists, presence, "EXISTS", presence->own.text, NULL) != 0)
        return;
    redis_send_strings(redis, NULL, NULL, "MULTI", NULL);
    redis_send_strings(redis, NULL, NULL, "HSET", presence->own.text, "address",
                       presence->config->addr.items[0], "connections", connections, "started_at",
                       started, "version", YUKIZURI_VERSION, NULL);
    redis_send_strings(redis, NULL, NULL, "PEXPIRE", presence->own.text, lease, NULL);
    redis_send_strings(redis, on_renewed, presence, "EXEC", NULL);
    keep_in_set(presence, presence->gateways.text, presence->config->gateway_id);
    keep_rooms(presence);
}

static void on_earlier_rooms(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    if (reply == NULL || presence->earlier_life_known)
        return;
    presence->earlier_life_known = true;
    if (!redis_reply_is_error(reply))
        burials_note_own(presence->burials, reply);
}

/* Asked before this life's rooms are written there. */
static void look_for_earlier_life(struct presence *presence)
{
    if (!presence->earlier_life_known)
        redis_send_strings(bus_commands(presence->options.bus), on_earlier_rooms, presence,
                           "SMEMBERS", presence->own_rooms.text, NULL);
}

void presence_up(struct presence *presence)
{
    look_for_earlier_life(presence);
    presence->renewals = RENEWALS_TO_WRITE;
    renew(presence);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    renew(arg);
}

void presence_note_room(struct presence *presence, const char *room, bool open)
{
    if (open) {
        presence->rooms_open++;
        keep_in_set(presence, presence->own_rooms.text, room);
    } else {
        presence->rooms_open--;
        redis_send_strings(bus_commands(presence->options.bus), NULL, NULL, "SREM",
                           presence->own_rooms.text, room, NULL);
    }
}

struct presence *presence_new(const struct presence_options *options)
{
    struct presence *presence = memory_new(sizeof *presence);
    presence->options = *options;
    presence->config = bus_config(options->bus);
    presence->own = key_gateway(presence->config->redis_prefix, presence->config->gateway_id);
    presence->own_rooms =
        key_gateway_rooms(presence->config->redis_prefix, presence->config->gateway_id);
    presence->gateways = key_global(presence->config->redis_prefix, "gateways");
    presence->burials = burials_new(options->base, options->bus, options->log);
    presence->timer = event_new(options->base, -1, EV_PERSIST, on_timer, presence);
    uint64_t every_ms = presence->config->lease * 1000 / 3;
    struct timeval every = {(time_t)(every_ms / 1000), (suseconds_t)(every_ms % 1000 * 1000)};
    event_add(presence->timer, &every);
    return presence;
}

void presence_free(struct presence *presence)
{
    if (presence == NULL)
        return;
    event_free(presence->timer);
    burials_free(presence->burials);
    free(presence);
}
