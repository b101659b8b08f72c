#include "cluster/membership.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/topic.h"
#include "cluster/failure_detector.h"
#include "cluster/reaper.h"
#include "redis/error_log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* The count alone does not show one room lost and another one too many. */
enum { RENEWALS_TO_WRITE = 16, ROOMS_AT_ONCE = 1000 };

struct membership {
    struct membership_options options;
    const struct config *config;
    struct redis *redis;
    struct key own_rooms;        /* P:gateway:ID:rooms */
    struct key gateways;         /* P:gateways */
    char ttl[TEXT_NUMBER_BYTES]; /* of both, in s */
    struct event *timer;
    struct lease *lease;
    struct failure_detector *detector;
    bool draining;
    bool id_shared;                         /* others of our id, who drain, may still be at work */
    bool leaves_nothing;                    /* that others would have to look through */
    bool gateways_repaired, rooms_repaired; /* logged */
    size_t rooms_open;
    unsigned renewals; /* since the rooms were written as a whole */
};

/* --- Sets --- */

static void begin_keeping(const struct membership *membership, struct script_call *call,
                          const char *key)
{
    script_begin(call, "keep");
    script_add_key(call, key, strlen(key));
    script_add(call, membership->ttl);
}

static void keep_in_set(struct membership *membership, const char *key, const char *item,
                        redis_done done)
{
    struct script_call call;
    begin_keeping(membership, &call, key);
    script_add(&call, item);
    script_run(membership->redis, &call, done, membership);
}

/* Other gateways find this one there. Broken by hand, it would keep the dead from being found. */
static void on_gateways_kept(void *arg, const struct redis_reply *reply)
{
    struct membership *membership = arg;
    if (!redis_reply_is_error(reply) && redis_reply_integer(reply) != 0)
        error_log_repair(membership->options.log, membership->gateways.text,
                         &membership->gateways_repaired);
}

/* Many rooms in a call: their number must not be what a lease costs. */
static void write_rooms(struct membership *membership)
{
    struct script_call call;
    struct room *room;
    size_t count = 0;
    membership->renewals = 0;
    for (size_t at = 0; (room = rooms_next(membership->options.rooms, &at)) != NULL;) {
        if (!room_is_open(room))
            continue;
        if (count++ % ROOMS_AT_ONCE == 0)
            begin_keeping(membership, &call, membership->own_rooms.text);
        script_add(&call, room_name(room));
        if (count % ROOMS_AT_ONCE == 0)
            script_run(membership->redis, &call, NULL, NULL);
    }
    if (count % ROOMS_AT_ONCE != 0)
        script_run(membership->redis, &call, NULL, NULL);
}

/* No other incarnation has rooms there that somebody may be left in. */
static bool is_alone(const struct membership *membership)
{
    return !membership->draining && !membership->id_shared &&
           !reaper_have_own(membership->detector);
}

static void on_rooms_counted(void *arg, const struct redis_reply *reply)
{
    struct membership *membership = arg;
    bool broken = redis_reply_has_error(reply, "WRONGTYPE"); /* by hand */
    if (redis_reply_is_error(reply) && !broken)
        return;
    bool too_many =
        redis_reply_integer(reply) > (int64_t)membership->rooms_open && is_alone(membership);
    if (broken)
        error_log_repair(membership->options.log, membership->own_rooms.text,
                         &membership->rooms_repaired);
    if (broken || too_many)
        redis_send_strings(membership->redis, NULL, NULL, "DEL", membership->own_rooms.text, NULL);
    if (broken || (size_t)redis_reply_integer(reply) != membership->rooms_open)
        write_rooms(membership);
}

/* Rooms are noted as they open and close, so mostly the set needs no more than another EXPIRE. */
static void keep_rooms(struct membership *membership)
{
    const char *key = membership->own_rooms.text;
    if (++membership->renewals >= RENEWALS_TO_WRITE)
        write_rooms(membership);
    redis_send_strings(membership->redis, NULL, NULL, "EXPIRE", key, membership->ttl, NULL);
    redis_send_strings(membership->redis, on_rooms_counted, membership, "SCARD", key, NULL);
}

static void keep_sets(struct membership *membership)
{
    keep_in_set(membership, membership->gateways.text, membership->config->gateway_id,
                on_gateways_kept);
    keep_rooms(membership);
}

static void on_renewal_due(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct membership *membership = arg;
    metrics_begin_iteration(membership->options.metrics);
    lease_renew(membership->lease);
    if (lease_is_held(membership->lease))
        keep_sets(membership);
}

void membership_up(struct membership *membership)
{
    membership->renewals = RENEWALS_TO_WRITE;
    lease_up(membership->lease);
    if (lease_is_held(membership->lease))
        keep_sets(membership);
}

/* While going away this gateway leaves its rooms noted: a successor may have them open, and who
 * does not move is looked for there. */
void membership_note_room(struct membership *membership, const char *room, bool open)
{
    if (open) {
        membership->rooms_open++;
        keep_in_set(membership, membership->own_rooms.text, room, NULL);
        return;
    }
    membership->rooms_open--;
    if (!membership->draining)
        redis_send_strings(membership->redis, NULL, NULL, "SREM", membership->own_rooms.text, room,
                           NULL);
}

/* --- Incarnations of this gateway --- */

static void on_earlier_rooms(void *arg, const struct redis_reply *reply)
{
    struct membership *membership = arg;
    if (!redis_reply_is_error(reply) && lease_is_held(membership->lease))
        reaper_note_own(membership->detector, reply);
}

static void look_for_earlier_incarnations(struct membership *membership)
{
    redis_send_strings(membership->redis, on_earlier_rooms, membership, "SMEMBERS",
                       membership->own_rooms.text, NULL);
}

/* What an earlier incarnation had is asked for before the rooms of this one are written there. */
static void begin_membership(struct membership *membership)
{
    look_for_earlier_incarnations(membership);
    membership->renewals = RENEWALS_TO_WRITE;
    keep_sets(membership);
}

/* The members of an incarnation that drains are its own until it is gone. Then it may have had
 * rooms that were not yet noted when this one began. */
static void follow_id_shared(struct membership *membership, bool id_shared)
{
    if (!lease_is_held(membership->lease))
        reaper_drop_own(membership->detector);
    else if (id_shared)
        failure_detector_hold_own(membership->detector);
    else if (membership->id_shared)
        look_for_earlier_incarnations(membership);
    membership->id_shared = id_shared;
}

void membership_drain(struct membership *membership)
{
    membership->draining = true;
    lease_drain(membership->lease);
}

/* Others look through the rooms of those who are in the set and have no lease. With no room there
 * is nothing to look for, and nothing to tell. Once the lease is given back: a successor, of which
 * this process need not have heard, has its members under the same id. */
static void take_off_the_sets(const struct membership *membership)
{
    if (!membership->leaves_nothing)
        return;
    redis_send_strings(membership->redis, NULL, NULL, "SREM", membership->gateways.text,
                       membership->config->gateway_id, NULL);
    redis_send_strings(membership->redis, NULL, NULL, "DEL", membership->own_rooms.text, NULL);
}

int membership_leave(struct membership *membership, void (*done)(void *arg), void *arg)
{
    bool others = membership->id_shared || reaper_have_own(membership->detector);
    membership->leaves_nothing =
        lease_is_held(membership->lease) && membership->rooms_open == 0 && !others;
    return lease_leave(membership->lease, done, arg);
}

static void on_news(void *arg, enum lease_news news, const char *why)
{
    struct membership *membership = arg;
    if (news == LEASE_TAKEN)
        begin_membership(membership);
    else if (news == LEASE_FAILED) /* Redis takes no writes: leases of the living run out as well */
        failure_detector_reset(membership->detector);
    else if (news == LEASE_GONE)
        take_off_the_sets(membership);
    else if (news == LEASE_SHARED || news == LEASE_NOT_SHARED)
        follow_id_shared(membership, news == LEASE_SHARED);
    if (news == LEASE_NOT_SHARED && !lease_is_held(membership->lease))
        news = LEASE_SHARED; /* a successor may have members of our id, whatever is seen of it */
    membership->options.on_news(membership->options.arg, news, why);
}

struct membership *membership_new(const struct membership_options *options)
{
    struct membership *membership = memory_new(sizeof *membership);
    membership->options = *options;
    membership->config = broker_commands(options->broker)->config;
    membership->redis = broker_commands(options->broker)->redis;
    membership->own_rooms =
        key_gateway_rooms(membership->config->redis_prefix, membership->config->gateway_id);
    membership->gateways = key_part(membership->config->redis_prefix, "gateways");
    text_number(script_settings_member_ttl(membership->config), membership->ttl);
    membership->lease = lease_new(&(struct lease_options){
        .base = options->base,
        .broker = options->broker,
        .metrics = options->metrics,
        .log = options->log,
        .on_news = on_news,
        .arg = membership,
    });
    membership->detector =
        failure_detector_new(options->base, options->broker, options->metrics, options->log);
    membership->timer = event_new(options->base, -1, EV_PERSIST, on_renewal_due, membership);
    uint64_t every_ms = membership->config->lease * 1000 / 3;
    struct timeval every = {(time_t)(every_ms / 1000), (suseconds_t)(every_ms % 1000 * 1000)};
    event_add(membership->timer, &every);
    return membership;
}

void membership_free(struct membership *membership)
{
    if (membership == NULL)
        return;
    event_free(membership->timer);
    lease_free(membership->lease);
    failure_detector_free(membership->detector);
    free(membership);
}
