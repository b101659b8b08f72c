#include "cluster/reaper.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/topic.h"
#include "cluster/internal.h"
#include "redis/error_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCAN_NAMES = 200,
    WALKS_AT_ONCE = 8, /* some milliseconds of Redis' time: others wait no longer for theirs */
};

/* One gateway's reaping, from the claim to the end. Freed when no room is left. */
struct reaping {
    struct failure_detector *detector;
    struct link waiting; /* walks; at most WALKS_AT_ONCE others are being looked through */
    size_t open;
    bool opening; /* those who end meanwhile open no others */
    uint64_t taken_off;
    bool failed;
    bool left;          /* it gave its lease back */
    int64_t asked_ms;   /* when it was claimed */
    const char *spared; /* our incarnation, when it is an earlier one of ours; else "" */
    char id[];
};

/* One room of it. */
struct room_walk {
    struct link link;        /* while it waits */
    struct reaping *reaping; /* NULL without a claim */
    char *room;
    struct topic topic; /* the room's */
    char cursor[24];
    int64_t asked_ms; /* when the gateway's key was looked for, or names for a batch */
};

bool reaper_is_stale(int64_t asked_ms)
{
    return clock_monotonic_ms() - asked_ms > REAPER_STALE_MS;
}

/* --- Room by room --- */

static bool is_own(const struct reaping *reaping)
{
    return reaping->spared[0] != '\0';
}

/* Whoever is there for our id, and is not of this incarnation, may be a successor's. */
static bool is_dropped(const struct reaping *reaping)
{
    return is_own(reaping) && reaping->detector->own_dropped;
}

static struct room_walk *new_room_walk(const struct failure_detector *detector, const char *room)
{
    struct room_walk *walk = memory_new(sizeof *walk);
    list_init(&walk->link);
    walk->room = memory_copy_string(room);
    walk->topic = topic_of(broker_commands(detector->broker), detector->config, room);
    return walk;
}

static void free_room_walk(struct room_walk *walk)
{
    list_remove(&walk->link);
    free(walk->room);
    free(walk);
}

static void log_reaped(const struct reaping *reaping)
{
    char text[96];
    snprintf(text, sizeof text, "%s; %" PRIu64 " members taken off",
             reaping->left ? "it has stopped" : "its lease ran out", reaping->taken_off);
    log_write(reaping->detector->log,
              &(struct log_line){.level = reaping->left ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                                 .kind = "gateway-buried",
                                 .id = reaping->id,
                                 .message = text});
}

static void free_reaping(struct reaping *reaping)
{
    reaping->detector->own_reapings -= is_own(reaping);
    free(reaping);
}

static void end_reaping(struct reaping *reaping)
{
    struct failure_detector *detector = reaping->detector;
    const char *prefix = detector->config->redis_prefix;
    if (!reaping->failed && !is_own(reaping)) {
        struct key gateways = key_part(prefix, "gateways");
        struct key rooms = key_gateway_rooms(prefix, reaping->id);
        struct key gone = key_gateway_gone(prefix, reaping->id);
        redis_send_strings(detector->redis, NULL, NULL, "SREM", gateways.text, reaping->id, NULL);
        redis_send_strings(detector->redis, NULL, NULL, "DEL", rooms.text, NULL);
        redis_send_strings(detector->redis, NULL, NULL, "DEL", gone.text, NULL);
        log_reaped(reaping);
    }
    free_reaping(reaping);
}

static void check_and_scan(struct room_walk *walk);

/* Takes the reaping over: ends it when nothing is left to do. */
static void open_walks(struct reaping *reaping)
{
    if (reaping->opening)
        return;
    reaping->opening = true;
    while (reaping->open < WALKS_AT_ONCE && !list_is_empty(&reaping->waiting)) {
        struct room_walk *walk = LIST_ITEM(reaping->waiting.next, struct room_walk, link);
        list_remove(&walk->link);
        reaping->open++;
        check_and_scan(walk);
    }
    reaping->opening = false;
    if (reaping->open == 0)
        end_reaping(reaping);
}

/* What was done for another gateway need not be done again by whoever takes an interrupted reaping
 * up; and while there is progress, nobody does. */
static void note_done(const struct room_walk *walk)
{
    const struct failure_detector *detector = walk->reaping->detector;
    const char *prefix = detector->config->redis_prefix;
    struct key rooms = key_gateway_rooms(prefix, walk->reaping->id);
    struct key claim = key_reap_claim(prefix, walk->reaping->id);
    redis_send_strings(detector->redis, NULL, NULL, "SREM", rooms.text, walk->room, NULL);
    redis_send_strings(detector->redis, NULL, NULL, "PEXPIRE", claim.text, detector->lease_ms,
                       NULL);
}

static void end_room_walk(struct room_walk *walk, bool failed)
{
    struct reaping *reaping = walk->reaping;
    reaping->open--;
    reaping->failed |= failed;
    if (failed && is_own(reaping) && !is_dropped(reaping)) {
        /* once more at the next poll: nobody else knows of it */
        walk->reaping = NULL;
        list_add(&reaping->detector->own_rooms, &walk->link);
    } else {
        if (!failed && !is_own(reaping))
            note_done(walk);
        free_room_walk(walk);
    }
    open_walks(reaping);
}

static void scan(struct room_walk *walk);

static void on_reaped(void *arg, const struct redis_reply *reply)
{
    struct room_walk *walk = arg;
    walk->reaping->taken_off += redis_reply_number(reply);
    if (redis_reply_is_error(reply))
        end_room_walk(walk, true);
    else if (strcmp(walk->cursor, "0") == 0)
        end_room_walk(walk, false);
    else
        check_and_scan(walk);
}

static void send_reap(struct room_walk *walk, const struct redis_reply *names)
{
    struct script_call call;
    topic_begin_call(&walk->topic, &call, "reap");
    topic_add_key(&walk->topic, &call, "members", NULL);
    script_add(&call, walk->reaping->id);
    topic_add_base(&walk->topic, &call, "member");
    topic_add_base(&walk->topic, &call, "left");
    script_add(&call, walk->reaping->spared);
    for (size_t i = 0; i < redis_reply_count(names) && call.words.count < REDIS_WORDS; i++) {
        size_t len;
        const char *name = redis_reply_string(redis_reply_at(names, i), &len);
        if (name != NULL)
            redis_words_add(&call.words, name, len);
    }
    if (script_run(walk->reaping->detector->redis, &call, on_reaped, walk) != 0)
        end_room_walk(walk, true);
}

/* A key that is of another type by hand tells nothing of anybody, and never would. */
static void drop_broken(struct failure_detector *detector, const char *key)
{
    error_log_repair(detector->log, key, &detector->repair_logged);
    redis_send_strings(detector->redis, NULL, NULL, "DEL", key, NULL);
}

static void on_scanned(void *arg, const struct redis_reply *reply)
{
    struct room_walk *walk = arg;
    struct key members = key_part(walk->topic.base.text, "members");
    if (redis_reply_has_error(reply, "WRONGTYPE")) {
        drop_broken(walk->reaping->detector, members.text);
        end_room_walk(walk, false);
        return;
    }
    const char *cursor = redis_reply_string(redis_reply_at(reply, 0), NULL);
    /* one that stands still would be followed for ever */
    if (cursor == NULL || reaper_is_stale(walk->asked_ms) || is_dropped(walk->reaping) ||
        (strcmp(cursor, "0") != 0 && strcmp(cursor, walk->cursor) == 0)) {
        end_room_walk(walk, true);
        return;
    }
    snprintf(walk->cursor, sizeof walk->cursor, "%s", cursor);
    send_reap(walk, redis_reply_at(reply, 1));
}

/* Before each batch: has the gateway come back? Then its members are its own again. */
static void on_still_dead(void *arg, const struct redis_reply *reply)
{
    struct room_walk *walk = arg;
    if (redis_reply_is_error(reply) || redis_reply_integer(reply) != 0 ||
        reaper_is_stale(walk->asked_ms))
        end_room_walk(walk, true);
    else
        scan(walk);
}

static void check_and_scan(struct room_walk *walk)
{
    const struct reaping *reaping = walk->reaping;
    assert(reaping != NULL);
    struct key key = key_gateway(reaping->detector->config->redis_prefix, reaping->id);
    walk->asked_ms = clock_monotonic_ms();
    if (!is_dropped(reaping) && is_own(reaping)) {
        scan(walk);
        return;
    }
    if (is_dropped(reaping) || redis_send_strings(reaping->detector->redis, on_still_dead, walk,
                                                  "EXISTS", key.text, NULL) != 0)
        end_room_walk(walk, true);
}

static void scan(struct room_walk *walk)
{
    char count[TEXT_NUMBER_BYTES];
    struct key members = key_part(walk->topic.base.text, "members");
    walk->asked_ms = clock_monotonic_ms();
    text_number(SCAN_NAMES, count);
    if (redis_send_strings(walk->reaping->detector->redis, on_scanned, walk, "SSCAN", members.text,
                           walk->cursor, "COUNT", count, NULL) != 0)
        end_room_walk(walk, true);
}

static void add_walk(struct reaping *reaping, struct room_walk *walk)
{
    list_remove(&walk->link);
    list_add(&reaping->waiting, &walk->link);
    walk->reaping = reaping;
    memcpy(walk->cursor, "0", 2);
}

static void on_rooms(void *arg, const struct redis_reply *reply)
{
    struct reaping *reaping = arg;
    struct key rooms = key_gateway_rooms(reaping->detector->config->redis_prefix, reaping->id);
    if (redis_reply_has_error(reply, "WRONGTYPE"))
        drop_broken(reaping->detector, rooms.text);
    else
        reaping->failed |= redis_reply_is_error(reply);
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        const char *room = redis_reply_string(redis_reply_at(reply, i), NULL);
        if (room != NULL)
            add_walk(reaping, new_room_walk(reaping->detector, room));
    }
    open_walks(reaping);
}

static void add_own_walks(struct reaping *reaping)
{
    while (!list_is_empty(&reaping->detector->own_rooms))
        add_walk(reaping, LIST_ITEM(reaping->detector->own_rooms.next, struct room_walk, link));
    open_walks(reaping);
}

/* --- The claim --- */

static void on_claim_expiring(void *arg, const struct redis_reply *reply)
{
    struct failure_detector *detector = arg;
    if (redis_reply_integer(reply) != 0)
        error_log_repair(detector->log, "bury", &detector->repair_logged);
}

void reaper_expire(struct failure_detector *detector, const char *key, redis_done done)
{
    redis_send_strings(detector->redis, done, detector, "PEXPIRE", key, detector->lease_ms, "NX",
                       NULL);
}

static void on_claimed(void *arg, const struct redis_reply *reply)
{
    struct reaping *reaping = arg;
    struct key rooms = key_gateway_rooms(reaping->detector->config->redis_prefix, reaping->id);
    struct key claim = key_reap_claim(reaping->detector->config->redis_prefix, reaping->id);
    bool ours = !redis_reply_is_error(reply) && redis_reply_string(reply, NULL) != NULL &&
                !reaper_is_stale(reaping->asked_ms);
    if (!ours && !redis_reply_is_error(reply))
        reaper_expire(reaping->detector, claim.text, on_claim_expiring); /* whoever has it */
    if (ours && is_own(reaping))
        add_own_walks(reaping);
    else if (!ours || redis_send_strings(reaping->detector->redis, on_rooms, reaping, "SMEMBERS",
                                         rooms.text, NULL) != 0)
        free_reaping(reaping);
}

void reaper_claim(struct failure_detector *detector, const char *id, bool left)
{
    bool own = strcmp(id, detector->config->gateway_id) == 0;
    struct reaping *reaping = memory_new(sizeof *reaping + strlen(id) + 1);
    struct key key = key_reap_claim(detector->config->redis_prefix, id);
    reaping->detector = detector;
    reaping->left = left;
    list_init(&reaping->waiting);
    reaping->asked_ms = clock_monotonic_ms();
    reaping->spared = own ? broker_incarnation(detector->broker) : "";
    detector->own_reapings += own;
    memcpy(reaping->id, id, strlen(id) + 1);
    if (redis_send_strings(detector->redis, on_claimed, reaping, "SET", key.text,
                           detector->config->gateway_id, "NX", "PX", detector->lease_ms, NULL) != 0)
        free_reaping(reaping);
}

/* --- Our own earlier incarnation --- */

static void free_own_rooms(struct failure_detector *detector)
{
    while (!list_is_empty(&detector->own_rooms))
        free_room_walk(LIST_ITEM(detector->own_rooms.next, struct room_walk, link));
}

void reaper_note_own(struct failure_detector *detector, const struct redis_reply *rooms)
{
    free_own_rooms(detector);
    for (size_t i = 0; i < redis_reply_count(rooms); i++) {
        const char *room = redis_reply_string(redis_reply_at(rooms, i), NULL);
        if (room != NULL)
            list_add(&detector->own_rooms, &new_room_walk(detector, room)->link);
    }
}

bool reaper_have_own(const struct failure_detector *detector)
{
    return detector->own_reapings > 0 || !list_is_empty(&detector->own_rooms);
}

void reaper_drop_own(struct failure_detector *detector)
{
    detector->own_dropped = true;
    free_own_rooms(detector);
}
