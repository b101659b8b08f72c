/* Who is dead: asks after the other gateways, and waits out the grace of those without a key. */
#include "cluster/internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/topic.h"
#include "redis/error_log.h"
#include "redis/limiter.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { SHORTEST_POLL_MS = 100, ID_BYTES = 65 };
enum { POLLS_TO_MEND = 16 };

/* A gateway that was seen without a key. */
struct suspect {
    struct link link;
    int64_t since_ms;
    bool seen;    /* still without a key at this poll */
    bool stopped; /* it gave its lease back */
    char id[];
};

/* --- Suspects --- */

/* A lease was renewed at most a third of it before the death. From the moment its key is missing,
 * members still have what is left of the grace after two thirds of a lease. At least a second, if
 * the grace has one: the living may just be about to renew theirs. After a doubt (burials_doubt)
 * nothing is known of the time before, and the grace begins when the key is found missing. So it
 * does when a gateway gave its lease back at its end. */
static int64_t wait_ms(const struct burials *burials, const struct suspect *suspect)
{
    const struct config *config = burials->config;
    int64_t grace_ms = (int64_t)config->leave_grace * 1000;
    int64_t lease_ms = (int64_t)config->lease * 1000;
    if (suspect->stopped)
        return grace_ms;
    if (burials->doubted_ms != 0 && suspect->since_ms - burials->doubted_ms < lease_ms)
        return grace_ms;
    int64_t wait = grace_ms - lease_ms * 2 / 3;
    int64_t least = grace_ms < 1000 ? grace_ms : 1000;
    return wait > least ? wait : least;
}

/* Its members may be among those who are coming back here, and are let in first. */
static bool may_bury(const struct burials *burials)
{
    return !lane_is_long(bus_commands(burials->bus)->limiter);
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

/* --- Keys broken by hand --- */

void burial_tell_mended(struct burials *burials, const char *key)
{
    mended_tell(burials->log, key, &burials->mended_told);
}

static void on_given_end(void *arg, const struct redis_reply *reply)
{
    if (redis_reply_integer(reply) != 0)
        burial_tell_mended(arg, "gateway");
}

/* A lease that somebody has made by hand would let a dead gateway live for ever. */
static void give_end(struct burials *burials, const char *key)
{
    char ms[TEXT_NUMBER_BYTES];
    text_number(burials->config->lease * 1000, ms);
    redis_send_strings(bus_commands(burials->bus)->redis, on_given_end, burials, "PEXPIRE", key, ms,
                       "NX", NULL);
}

/* --- Asking after one --- */

/* The replies to EXISTS for the gateway `id`, whose copy this owns. */
struct check {
    struct burials *burials;
    int64_t asked_ms;
    bool stopped;
    char id[];
};

static void on_stopped(void *arg, const struct redis_reply *reply)
{
    struct check *check = arg;
    check->stopped = redis_reply_integer(reply) != 0;
}

static void on_checked(void *arg, const struct redis_reply *reply)
{
    struct check *check = arg;
    struct burials *burials = check->burials;
    struct suspect *suspect = find_suspect(burials, check->id);
    bool alive = redis_reply_integer(reply) != 0;
    int64_t now_ms = clock_monotonic_ms();
    bool known = !redis_reply_is_error(reply) && !burial_is_stale(check->asked_ms);
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
        suspect->stopped = check->stopped;
        if (now_ms - suspect->since_ms >= wait_ms(burials, suspect) && may_bury(burials))
            burial_claim(burials, check->id, check->stopped);
    }
    free(check);
}

static void check_gateway(struct burials *burials, const char *id)
{
    struct check *check = memory_new(sizeof *check + strlen(id) + 1);
    struct redis *redis = bus_commands(burials->bus)->redis;
    struct key key = key_gateway(burials->config->redis_prefix, id);
    struct key gone = key_gateway_gone(burials->config->redis_prefix, id);
    check->burials = burials;
    check->asked_ms = clock_monotonic_ms();
    memcpy(check->id, id, strlen(id) + 1);
    if (burials->polls % POLLS_TO_MEND == 0)
        give_end(burials, key.text);
    redis_send_strings(redis, on_stopped, check, "EXISTS", gone.text, NULL);
    if (redis_send_strings(redis, on_checked, check, "EXISTS", key.text, NULL) != 0)
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

static void on_gateways(void *arg, const struct redis_reply *reply)
{
    struct burials *burials = arg;
    if (redis_reply_is_error(reply))
        return;
    sweep_suspects(burials);
    burials->polls++;
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        size_t len;
        const char *id = redis_reply_string(redis_reply_at(reply, i), &len);
        if (id != NULL && len < ID_BYTES && strcmp(id, burials->config->gateway_id) != 0)
            check_gateway(burials, id);
    }
}

void burials_doubt(struct burials *burials)
{
    burials->doubted_ms = clock_monotonic_ms();
    while (!list_is_empty(&burials->suspects))
        forget_suspect(LIST_ITEM(burials->suspects.next, struct suspect, link));
}

/* A gateway that was restarted under its old id: nobody else will bury that life. */
static bool is_own_due(const struct burials *burials)
{
    int64_t since_ms = burials->started_ms;
    if (since_ms < burials->doubted_ms)
        since_ms = burials->doubted_ms;
    if (since_ms < burials->held_ms)
        since_ms = burials->held_ms;
    return !list_is_empty(&burials->own_graves) &&
           clock_monotonic_ms() - since_ms >= (int64_t)burials->config->leave_grace * 1000;
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct burials *burials = arg;
    int64_t stopped_ms = clock_monotonic_ms() - burials->polled_ms - poll_ms(burials->config);
    bool flows = bus_flows(burials->bus);
    if (!flows || !burials->flowed || stopped_ms > BURIAL_STALE_MS)
        burials_doubt(burials);
    burials->flowed = flows;
    burials->polled_ms = clock_monotonic_ms();
    struct key gateways = key_part(burials->config->redis_prefix, "gateways");
    redis_send_strings(bus_commands(burials->bus)->redis, on_gateways, burials, "SMEMBERS",
                       gateways.text, NULL);
    if (is_own_due(burials) && may_bury(burials))
        burial_claim(burials, burials->config->gateway_id, false);
}

struct burials *burials_new(struct event_base *base, struct bus *bus, struct log *log)
{
    struct burials *burials = memory_new(sizeof *burials);
    burials->bus = bus;
    burials->log = log;
    burials->config = bus_commands(bus)->config;
    burials->flowed = true;
    list_init(&burials->suspects);
    burials->started_ms = clock_monotonic_ms();
    list_init(&burials->own_graves);
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
    graves_free_own(burials);
    event_free(burials->timer);
    free(burials);
}
