#include "cluster/membership.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/topic.h"
#include "cluster/failure_detector.h"
#include "redis/error_log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* The count alone does not show one room lost and another one too many. */
enum { RENEWALS_TO_WRITE = 16 };

struct presence {
    struct presence_options options;
    const struct config *config;
    struct key own_rooms; /* P:gateway:ID:rooms */
    struct key gateways;  /* P:gateways */
    struct event *timer;
    struct lease *lease;
    struct failure_detector *detector;
    bool draining;
    bool id_shared;                         /* others of our id, who drain, may still be at work */
    bool leaves_nothing;                    /* that others would have to look through */
    bool gateways_repaired, rooms_repaired; /* told in the log */
    size_t rooms_open;
    unsigned renewals; /* since the rooms were written as a whole */
};

/* --- Sets --- */

/* Sends SADD and lets the set expire, as one: a connection cut in between must not leave a key that
 * lives for ever. */
static void send_kept(struct presence *presence, const char *key, struct redis_words *add,
                      redis_done done)
{
    struct redis *redis = broker_commands(presence->options.broker)->redis;
    char ttl[TEXT_NUMBER_BYTES];
    text_number(script_settings_member_ttl(presence->config), ttl);
    redis_send_strings(redis, NULL, NULL, "MULTI", NULL);
    redis_send(redis, add, NULL, NULL);
    redis_send_strings(redis, NULL, NULL, "EXPIRE", key, ttl, NULL);
    redis_send_strings(redis, done, presence, "EXEC", NULL);
    redis_words_done(add);
}

static void add_item(struct redis_words *words, const char *key, const char *item)
{
    if (words->count == 0) {
        redis_words_add_string(words, "SADD");
        redis_words_add_string(words, key);
    }
    redis_words_add_string(words, item);
}

static void keep_in_set(struct presence *presence, const char *key, const char *item,
                        redis_done done)
{
    struct redis_words words = {0};
    add_item(&words, key, item);
    send_kept(presence, key, &words, done);
}

/* Other gateways find this one there. Broken by hand, it would keep the dead from being found. */
static void on_gateways_kept(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    if (!redis_reply_is_wrong_type(redis_reply_at(reply, 0))) /* EXEC answers for SADD and EXPIRE */
        return;
    error_log_repair(presence->options.log, presence->gateways.text, &presence->gateways_repaired);
    redis_send_strings(broker_commands(presence->options.broker)->redis, NULL, NULL, "DEL",
                       presence->gateways.text, NULL);
    keep_in_set(presence, presence->gateways.text, presence->config->gateway_id, NULL);
}

/* Many rooms in a command: their number must not be what a lease costs. */
static void write_rooms(struct presence *presence)
{
    const char *key = presence->own_rooms.text;
    struct redis_words words = {0};
    struct room *room;
    presence->renewals = 0;
    for (size_t at = 0; (room = rooms_next(presence->options.rooms, &at)) != NULL;) {
        if (room_is_open(room))
            add_item(&words, key, room_name(room));
        if (words.count == REDIS_WORDS)
            send_kept(presence, key, &words, NULL);
    }
    if (words.count > 0)
        send_kept(presence, key, &words, NULL);
}

/* No other life has rooms there that somebody may be left in. */
static bool is_alone(const struct presence *presence)
{
    return !presence->draining && !presence->id_shared &&
           !failure_detector_have_own(presence->detector);
}

static void on_rooms_counted(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    bool broken = redis_reply_is_wrong_type(reply); /* by hand */
    if (redis_reply_is_error(reply) && !broken)
        return;
    bool too_many =
        redis_reply_integer(reply) > (int64_t)presence->rooms_open && is_alone(presence);
    if (broken)
        error_log_repair(presence->options.log, presence->own_rooms.text,
                         &presence->rooms_repaired);
    if (broken || too_many)
        redis_send_strings(broker_commands(presence->options.broker)->redis, NULL, NULL, "DEL",
                           presence->own_rooms.text, NULL);
    if (broken || (size_t)redis_reply_integer(reply) != presence->rooms_open)
        write_rooms(presence);
}

/* Rooms are noted as they open and close, so mostly the set needs no more than to go on living. */
static void keep_rooms(struct presence *presence)
{
    struct redis *redis = broker_commands(presence->options.broker)->redis;
    const char *key = presence->own_rooms.text;
    char ttl[TEXT_NUMBER_BYTES];
    text_number(script_settings_member_ttl(presence->config), ttl);
    if (++presence->renewals >= RENEWALS_TO_WRITE)
        write_rooms(presence);
    redis_send_strings(redis, NULL, NULL, "EXPIRE", key, ttl, NULL);
    redis_send_strings(redis, on_rooms_counted, presence, "SCARD", key, NULL);
}

static void keep_sets(struct presence *presence)
{
    keep_in_set(presence, presence->gateways.text, presence->config->gateway_id, on_gateways_kept);
    keep_rooms(presence);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct presence *presence = arg;
    metrics_begin_iteration(presence->options.metrics);
    lease_renew(presence->lease);
    if (lease_is_held(presence->lease))
        keep_sets(presence);
}

void presence_up(struct presence *presence)
{
    presence->renewals = RENEWALS_TO_WRITE;
    lease_up(presence->lease);
    if (lease_is_held(presence->lease))
        keep_sets(presence);
}

/* While going away this gateway leaves its rooms noted: a successor may have them open, and who
 * does not move is looked for there. */
void presence_note_room(struct presence *presence, const char *room, bool open)
{
    if (open) {
        presence->rooms_open++;
        keep_in_set(presence, presence->own_rooms.text, room, NULL);
        return;
    }
    presence->rooms_open--;
    if (!presence->draining)
        redis_send_strings(broker_commands(presence->options.broker)->redis, NULL, NULL, "SREM",
                           presence->own_rooms.text, room, NULL);
}

/* --- Lives of this gateway --- */

static void on_earlier_rooms(void *arg, const struct redis_reply *reply)
{
    struct presence *presence = arg;
    if (!redis_reply_is_error(reply) && lease_is_held(presence->lease))
        failure_detector_note_own(presence->detector, reply);
}

static void look_for_earlier_incarnations(struct presence *presence)
{
    redis_send_strings(broker_commands(presence->options.broker)->redis, on_earlier_rooms, presence,
                       "SMEMBERS", presence->own_rooms.text, NULL);
}

/* What an earlier life had is asked for before this life's rooms are written there. */
static void begin(struct presence *presence)
{
    look_for_earlier_incarnations(presence);
    presence->renewals = RENEWALS_TO_WRITE;
    keep_sets(presence);
}

/* The members of a life that drains are its own until it is gone. Then it may have had rooms that
 * were not yet noted when this life began. */
static void note_id_shared(struct presence *presence, bool id_shared)
{
    if (!lease_is_held(presence->lease))
        failure_detector_stop_own(presence->detector);
    else if (id_shared)
        failure_detector_hold_own(presence->detector);
    else if (presence->id_shared)
        look_for_earlier_incarnations(presence);
    presence->id_shared = id_shared;
}

void presence_drain(struct presence *presence)
{
    presence->draining = true;
    lease_drain(presence->lease);
}

/* Others look through the rooms of those who are in the set and have no lease. With no room there
 * is nothing to look for, and nothing to tell. Once the lease is given back: a successor, of which
 * this process need not have heard, has its members under the same id. */
static void take_off_the_sets(const struct presence *presence)
{
    struct redis *redis = broker_commands(presence->options.broker)->redis;
    if (!presence->leaves_nothing)
        return;
    redis_send_strings(redis, NULL, NULL, "SREM", presence->gateways.text,
                       presence->config->gateway_id, NULL);
    redis_send_strings(redis, NULL, NULL, "DEL", presence->own_rooms.text, NULL);
}

int presence_leave(struct presence *presence, void (*done)(void *arg), void *arg)
{
    bool others = presence->id_shared || failure_detector_have_own(presence->detector);
    presence->leaves_nothing =
        lease_is_held(presence->lease) && presence->rooms_open == 0 && !others;
    return lease_leave(presence->lease, done, arg);
}

static void on_news(void *arg, enum lease_news news, const char *why)
{
    struct presence *presence = arg;
    if (news == LEASE_TAKEN)
        begin(presence);
    else if (news == LEASE_FAILED) /* Redis takes no writes: leases of the living run out as well */
        failure_detector_reset(presence->detector);
    else if (news == LEASE_GONE)
        take_off_the_sets(presence);
    else if (news == LEASE_SHARED || news == LEASE_NOT_SHARED)
        note_id_shared(presence, news == LEASE_SHARED);
    if (news == LEASE_NOT_SHARED && !lease_is_held(presence->lease))
        news = LEASE_SHARED; /* a successor may have members of our id, whatever is seen of it */
    presence->options.on_news(presence->options.arg, news, why);
}

struct presence *presence_new(const struct presence_options *options)
{
    struct presence *presence = memory_new(sizeof *presence);
    presence->options = *options;
    presence->config = broker_commands(options->broker)->config;
    presence->own_rooms =
        key_gateway_rooms(presence->config->redis_prefix, presence->config->gateway_id);
    presence->gateways = key_part(presence->config->redis_prefix, "gateways");
    presence->lease = lease_new(&(struct lease_options){
        .base = options->base,
        .broker = options->broker,
        .metrics = options->metrics,
        .log = options->log,
        .on_news = on_news,
        .arg = presence,
    });
    presence->detector = failure_detector_new(options->base, options->broker, options->log);
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
    lease_free(presence->lease);
    failure_detector_free(presence->detector);
    free(presence);
}
