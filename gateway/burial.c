#include "burial.h"

#include "clock.h"
#include "keys.h"
#include "lane.h"
#include "list.h"
#include "memory.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_NAMES = 200, SHORTEST_POLL_MS = 100, STALE_MS = 1000 };
enum { POLL_MOST = 100 /* gateways in one question */, ID_BYTES = 65 };

/* A gateway that was seen without a key. */
struct suspect {
    struct link link;
    int64_t since_ms;
    bool seen; /* still without a key at this poll */
    char id[];
};

struct burials {
    struct bus *bus;
    struct log *log;
    const struct config *config;
    struct event *timer;
    struct link suspects;
    int64_t started_ms;
    int64_t polled_ms;
    int64_t doubted_ms;    /* when leases last proved nothing; 0: never */
    bool own_earlier_life; /* still to be looked for */
};

/* One gateway's burial, from the claim to the end. Freed when no room is left. */
struct burial {
    struct burials *burials;
    size_t rooms_left;
    uint64_t taken_off;
    bool failed;
    int64_t asked_ms;   /* when it was claimed */
    const char *spared; /* sessions of this life, when it is our own earlier one */
    char id[];
};

/* One room of it. */
struct grave {
    struct burial *burial;
    struct key channel;
    char cursor[24];
    int64_t asked_ms; /* when the gateway's key was looked for, or names for a batch */
};

/* This process may itself have been stopped meanwhile: what an old answer says is not so any more.
 */
static bool is_stale(int64_t asked_ms)
{
    return clock_monotonic_ms() - asked_ms > STALE_MS;
}

/* --- Room by room --- */

static void end_burial(struct burial *burial)
{
    struct burials *burials = burial->burials;
    const char *prefix = burials->config->redis_prefix;
    struct redis *redis = bus_commands(burials->bus);
    bool own = burial->spared[0] != '\0';
    if (own && burial->failed)
        burials->own_earlier_life = true; /* once more at the next poll */
    if (!burial->failed && !own) {
        char text[96];
        struct key gateways = key_global(prefix, "gateways");
        struct key rooms = key_gateway_rooms(prefix, burial->id);
        redis_send_strings(redis, NULL, NULL, "SREM", gateways.text, burial->id, NULL);
        redis_send_strings(redis, NULL, NULL, "DEL", rooms.text, NULL);
        snprintf(text, sizeof text, "its lease ran out; %" PRIu64 " members taken off",
                 burial->taken_off);
        log_write(burials->log, &(struct log_line){.level = LOG_LEVEL_WARN,
                                                   .kind = "gateway-buried",
                                                   .id = burial->id,
                                                   .message = text});
    }
    free(burial);
}

static void end_grave(struct grave *grave, bool failed)
{
    struct burial *burial = grave->burial;
    free(grave);
    burial->failed |= failed;
    if (--burial->rooms_left == 0)
        end_burial(burial);
}

static void scan(struct grave *grave);
static void check_and_scan(struct grave *grave);

static void on_taken_off(void *arg, const struct redis_reply *reply)
{
    struct grave *grave = arg;
    grave->burial->taken_off += bus_number(reply);
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
    struct bus_scratch scratch;
    struct key members = key_part(grave->channel.text, "members");
    struct key member = key_item(grave->channel.text, "member", "");
    struct key left = key_item(grave->channel.text, "left", "");
    script_begin(&call, "bury");
    bus_begin(bus, &call, &scratch, grave->channel.text);
    bus_add_key(&call, members.text);
    bus_end_keys(&call, &scratch);
    redis_words_add_string(&call.words, grave->burial->id);
    redis_words_add_string(&call.words, member.text);
    redis_words_add_string(&call.words, left.text);
    redis_words_add_string(&call.words, grave->burial->spared);
    for (size_t i = 0; i < redis_reply_count(names) && call.words.count < REDIS_WORDS - 8; i++) {
        size_t len;
        const char *name = redis_reply_string(redis_reply_at(names, i), &len);
        if (name != NULL)
            redis_words_add(&call.words, name, len);
    }
    if (script_run(bus_commands(bus), &call, on_taken_off, grave) != 0)
        end_grave(grave, true);
}

static void on_scanned(void *arg, const struct redis_reply *reply)
{
    struct grave *grave = arg;
    const char *cursor = redis_reply_string(redis_reply_at(reply, 0), NULL);
    if (cursor == NULL || is_stale(grave->asked_ms)) {
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
    if (redis_reply_is_error(reply) || redis_reply_integer(reply) != 0 || is_stale(grave->asked_ms))
        end_grave(grave, true);
    else
        scan(grave);
}

static void check_and_scan(struct grave *grave)
{
    const struct burial *burial = grave->burial;
    struct key key = key_gateway(burial->burials->config->redis_prefix, burial->id);
    grave->asked_ms = clock_monotonic_ms();
    if (burial->spared[0] != '\0')
        scan(grave);
    else if (redis_send_strings(bus_commands(burial->burials->bus), on_still_dead, grave, "EXISTS",
                                key.text, NULL) != 0)
        end_grave(grave, true);
}

static void scan(struct grave *grave)
{
    char count[24];
    struct key members = key_part(grave->channel.text, "members");
    grave->asked_ms = clock_monotonic_ms();
    snprintf(count, sizeof count, "%d", SCAN_NAMES);
    if (redis_send_strings(bus_commands(grave->burial->burials->bus), on_scanned, grave, "SSCAN",
                           members.text, grave->cursor, "COUNT", count, NULL) != 0)
        end_grave(grave, true);
}

static void open_grave(struct burial *burial, const char *room)
{
    struct grave *grave = memory_new(sizeof *grave);
    grave->burial = burial;
    grave->channel = key_room(burial->burials->config->redis_prefix, room);
    memcpy(grave->cursor, "0", 2);
    burial->rooms_left++;
    check_and_scan(grave);
}

static void on_rooms(void *arg, const struct redis_reply *reply)
{
    struct burial *burial = arg;
    burial->rooms_left = 1; /* held while rooms are added */
    burial->failed |= redis_reply_is_error(reply);
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        const char *room = redis_reply_string(redis_reply_at(reply, i), NULL);
        if (room != NULL)
            open_grave(burial, room);
    }
    if (--burial->rooms_left == 0)
        end_burial(burial);
}

/* --- The claim --- */

static void on_claimed(void *arg, const struct redis_reply *reply)
{
    struct burial *burial = arg;
    struct key rooms = key_gateway_rooms(burial->burials->config->redis_prefix, burial->id);
    bool ours = !redis_reply_is_error(reply) && redis_reply_string(reply, NULL) != NULL &&
                !is_stale(burial->asked_ms);
    if (!ours || redis_send_strings(bus_commands(burial->burials->bus), on_rooms, burial,
                                    "SMEMBERS", rooms.text, NULL) != 0) {
        burial->burials->own_earlier_life |= burial->spared[0] != '\0';
        free(burial);
    }
}

static void claim(struct burials *burials, const char *id)
{
    bool own = strcmp(id, burials->config->gateway_id) == 0;
    struct burial *burial = memory_new(sizeof *burial + strlen(id) + 1);
    struct key key = key_bury(burials->config->redis_prefix, id);
    char ms[24];
    burial->burials = burials;
    burial->asked_ms = clock_monotonic_ms();
    burial->spared = own ? bus_life(burials->bus) : "";
    memcpy(burial->id, id, strlen(id) + 1);
    snprintf(ms, sizeof ms, "%" PRIu64, burials->config->lease * 1000);
    if (redis_send_strings(bus_commands(burials->bus), on_claimed, burial, "SET", key.text,
                           burials->config->gateway_id, "NX", "PX", ms, NULL) != 0) {
        burials->own_earlier_life |= own;
        free(burial);
    }
}

/* --- Suspects --- */

/* A lease was renewed at most a third of it before the death. From the moment its key is missing,
 * members still have what is left of the grace after two thirds of a lease. At least a second, if
 * the grace has one: the living may just be about to renew theirs. After a doubt (burials_doubt)
 * nothing is known of the time before, and the grace begins when the key is found missing. */
static int64_t wait_ms(const struct burials *burials, const struct suspect *suspect)
{
    const struct config *config = burials->config;
    int64_t grace_ms = (int64_t)config->leave_grace * 1000;
    int64_t lease_ms = (int64_t)config->lease * 1000;
    if (burials->doubted_ms != 0 && suspect->since_ms - burials->doubted_ms < lease_ms)
        return grace_ms;
    int64_t wait = grace_ms - lease_ms * 2 / 3;
    int64_t least = grace_ms < 1000 ? grace_ms : 1000;
    return wait > least ? wait : least;
}

/* Its members may be among those who are coming back here, and are let in first. */
static bool may_bury(const struct burials *burials)
{
    return !lane_is_long(bus_lane(burials->bus));
}

static int64_t poll_ms(const struct config *config)
{
    int64_t every_ms = (int64_t)config->lease * 100;
    return every_ms > SHORTEST_POLL_MS ? every_ms : SHORTEST_POLL_MS;
}

static struct suspect *find_suspect(struct burials *burials, const char *id)
{
    for (struct link *at = burials->suspects.next; at != &burials->suspects; at = at->next) {
        struct suspect *suspect = LIST_ITEM(at, struct suspect, link);
        if (strcmp(suspect->id, id) == 0)
            return suspect;
    }
    return NULL;
}

static void forget_suspect(struct suspect *suspect)
{
    list_remove(&suspect->link);
    free(suspect);
}

/* The reply to EXISTS for the gateway `id`, whose copy this owns. */
struct check {
    struct burials *burials;
    int64_t asked_ms;
    char id[];
};

static void on_checked(void *arg, const struct redis_reply *reply)
{
    struct check *check = arg;
    struct burials *burials = check->burials;
    struct suspect *suspect = find_suspect(burials, check->id);
    bool alive = redis_reply_integer(reply) != 0;
    int64_t now_ms = clock_monotonic_ms();
    bool known = !redis_reply_is_error(reply) && !is_stale(check->asked_ms);
    if (known && alive && suspect != NULL) {
        forget_suspect(suspect);
    } else if (known && !alive) {
        if (suspect == NULL) {
            suspect = memory_new(sizeof *suspect + strlen(check->id) + 1);
            memcpy(suspect->id, check->id, strlen(check->id) + 1);
            suspect->since_ms = now_ms;
            list_init(&suspect->link);
            list_add(&burials->suspects, &suspect->link);
        }
        suspect->seen = true;
        if (now_ms - suspect->since_ms >= wait_ms(burials, suspect) && may_bury(burials))
            claim(burials, check->id);
    }
    free(check);
}

static void check_gateway(struct burials *burials, const char *id)
{
    struct check *check = memory_new(sizeof *check + strlen(id) + 1);
    struct key key = key_gateway(burials->config->redis_prefix, id);
    check->burials = burials;
    check->asked_ms = clock_monotonic_ms();
    memcpy(check->id, id, strlen(id) + 1);
    if (redis_send_strings(bus_commands(burials->bus), on_checked, check, "EXISTS", key.text,
                           NULL) != 0)
        free(check);
}

/* Forgets those who were not seen dead since the poll before: they live, or are buried. */
static void sweep_suspects(struct burials *burials)
{
    struct link *next;
    for (struct link *at = burials->suspects.next; at != &burials->suspects; at = next) {
        struct suspect *suspect = LIST_ITEM(at, struct suspect, link);
        next = at->next;
        if (!suspect->seen)
            forget_suspect(suspect);
        else
            suspect->seen = false;
    }
}

/* --- Polling --- */

/* One question about all others, as most of the time all of them live: every gateway asks after
 * every other one, and that many commands were most of what many gateways cost Redis. */
struct poll {
    struct burials *burials;
    int64_t asked_ms;
    size_t count;
    char ids[POLL_MOST][ID_BYTES];
};

static void on_polled(void *arg, const struct redis_reply *reply)
{
    struct poll *poll = arg;
    bool known = reply != NULL && !is_stale(poll->asked_ms);
    bool all_live =
        !redis_reply_is_error(reply) && redis_reply_integer(reply) == (int64_t)poll->count;
    if (known && !all_live) { /* an error as well: a cluster does not answer for many keys */
        for (size_t i = 0; i < poll->count; i++)
            check_gateway(poll->burials, poll->ids[i]);
    }
    free(poll);
}

static void send_poll(struct poll *poll)
{
    struct burials *burials = poll->burials;
    struct key keys[POLL_MOST];
    struct redis_words words;
    words.count = 0;
    redis_words_add_string(&words, "EXISTS");
    for (size_t i = 0; i < poll->count; i++) {
        keys[i] = key_gateway(burials->config->redis_prefix, poll->ids[i]);
        redis_words_add_string(&words, keys[i].text);
    }
    poll->asked_ms = clock_monotonic_ms();
    if (redis_send(bus_commands(burials->bus), &words, on_polled, poll) != 0)
        free(poll);
}

static void on_gateways(void *arg, const struct redis_reply *reply)
{
    struct burials *burials = arg;
    struct poll *poll = NULL;
    if (redis_reply_is_error(reply))
        return;
    sweep_suspects(burials);
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        size_t len;
        const char *id = redis_reply_string(redis_reply_at(reply, i), &len);
        if (id == NULL || len >= ID_BYTES || strcmp(id, burials->config->gateway_id) == 0)
            continue;
        if (poll == NULL) {
            poll = memory_new(sizeof *poll);
            poll->burials = burials;
        }
        memcpy(poll->ids[poll->count++], id, len + 1);
        if (poll->count == POLL_MOST) {
            send_poll(poll);
            poll = NULL;
        }
    }
    if (poll != NULL)
        send_poll(poll);
}

void burials_doubt(struct burials *burials)
{
    burials->doubted_ms = clock_monotonic_ms();
    while (!list_is_empty(&burials->suspects))
        forget_suspect(LIST_ITEM(burials->suspects.next, struct suspect, link));
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct burials *burials = arg;
    int64_t stopped_ms = clock_monotonic_ms() - burials->polled_ms - poll_ms(burials->config);
    if (!bus_flows(burials->bus) || stopped_ms > STALE_MS)
        burials_doubt(burials);
    burials->polled_ms = clock_monotonic_ms();
    struct key gateways = key_global(burials->config->redis_prefix, "gateways");
    redis_send_strings(bus_commands(burials->bus), on_gateways, burials, "SMEMBERS", gateways.text,
                       NULL);
    /* a gateway that was restarted under its old id: nobody else will bury that life */
    int64_t grace_ms = (int64_t)burials->config->leave_grace * 1000;
    int64_t since_ms =
        burials->doubted_ms > burials->started_ms ? burials->doubted_ms : burials->started_ms;
    if (burials->own_earlier_life && clock_monotonic_ms() - since_ms >= grace_ms &&
        may_bury(burials)) {
        burials->own_earlier_life = false;
        claim(burials, burials->config->gateway_id);
    }
}

struct burials *burials_new(struct event_base *base, struct bus *bus, struct log *log)
{
    struct burials *burials = memory_new(sizeof *burials);
    burials->bus = bus;
    burials->log = log;
    burials->config = bus_config(bus);
    list_init(&burials->suspects);
    burials->started_ms = clock_monotonic_ms();
    burials->own_earlier_life = true;
    burials->timer = event_new(base, -1, EV_PERSIST, on_timer, burials);
    burials->polled_ms = clock_monotonic_ms();
    int64_t every_ms = poll_ms(burials->config);
    struct timeval every = {(time_t)(every_ms / 1000), (suseconds_t)(every_ms % 1000 * 1000)};
    event_add(burials->timer, &every);
    return burials;
}

void burials_free(struct burials *burials)
{
    if (burials == NULL)
        return;
    burials_doubt(burials);
    event_free(burials->timer);
    free(burials);
}
