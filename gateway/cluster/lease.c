#include "cluster/lease.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/script_settings.h"
#include "broker/topic.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_AGAIN_US = 200000,
    APART_MS = 500,   /* of two renewals: what a dead process left in a buffer comes in one go */
    SILENT_MS = 1000, /* within it who lives is subscribed again (redis: the longest retry) */
    SEEN_BYTES = 64,
};

enum state { ENTERING, REFUSED, HELD, SUPERSEDED, LEFT };

/* Another incarnation that has the lease. */
struct other {
    char seen[SEEN_BYTES];   /* which one, and how often renewed; empty: none was seen */
    int64_t silent_since_ms; /* not subscribed since, and not renewed; 0: it is */
    int64_t renewed_ms;      /* when it was first seen to renew; 0: not yet */
    bool renews;             /* it did so twice, apart: it surely lives */
};

struct lease {
    struct lease_options options;
    const struct config *config;
    struct redis *redis;
    struct key key;                 /* P:gateway:ID */
    struct key gone_key;            /* P:gateway:ID:gone */
    struct key incarnation_channel; /* of an incarnation, without the incarnation */
    struct event *look_again;
    enum state state;
    bool draining;
    bool repair_logged;
    bool succession_logged;
    bool under_way; /* an answer is awaited, for 'start' */
    bool waiting;   /* as last reported */
    bool waiting_logged;
    struct other other;
    void (*on_left)(void *arg);
    void *left_arg;
};

/* --- Reporting and logging --- */

static void report(const struct lease *lease, enum lease_news news)
{
    lease->options.on_news(lease->options.arg, news, NULL);
}

static void log_lease(const struct lease *lease, enum log_level level, const char *kind,
                      const char *message)
{
    log_write(lease->options.log, &(struct log_line){.level = level,
                                                     .kind = kind,
                                                     .id = lease->config->gateway_id,
                                                     .message = message});
}

static void log_once(const struct lease *lease, bool *logged, enum log_level level,
                     const char *kind, const char *message)
{
    if (!*logged)
        log_lease(lease, level, kind, message);
    *logged = true;
}

static void log_repair(struct lease *lease, const struct redis_reply *reply)
{
    if (redis_reply_integer(redis_reply_at(reply, 2)) != 0)
        log_once(lease, &lease->repair_logged, LOG_LEVEL_WARN, "key-mended",
                 "the lease was of another type, set by somebody else; it is written anew");
}

/* --- The call --- */

/* What the script is to find unchanged to take the lease over from a dead incarnation. Never from a
 * successor: a new process takes that one's place, and its members with it. */
static const char *find_silent(const struct lease *lease)
{
    const struct other *other = &lease->other;
    bool silent =
        other->silent_since_ms != 0 && clock_monotonic_ms() - other->silent_since_ms >= SILENT_MS;
    return silent && lease->state != SUPERSEDED ? other->seen : "";
}

static int call_script(struct lease *lease, const char *step, redis_done done)
{
    const struct metrics *metrics = lease->options.metrics;
    char connections[TEXT_NUMBER_BYTES];
    char started[TEXT_NUMBER_BYTES];
    char ttl[TEXT_NUMBER_BYTES];
    const char *const words[] = {
        broker_incarnation(lease->options.broker),
        ttl,
        step,
        lease->incarnation_channel.text,
        find_silent(lease),
        "address",
        lease->config->addr.items[0],
        "connections",
        connections,
        "started_at",
        started,
        "version",
        YUKIZURI_VERSION,
    };
    const char *pubsub = script_settings_pubsub(lease->config);
    struct script_call call;
    text_number(metrics->connections, connections);
    text_number((uint64_t)metrics->started_at_ms, started);
    text_number(lease->config->lease * 1000, ttl);
    script_begin(&call, "lease");
    script_add_key(&call, lease->key.text, strlen(lease->key.text));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        script_add(&call, words[i]);
    if (pubsub != NULL) {
        script_add(&call, "pubsub");
        script_add(&call, pubsub);
    }
    return script_run(lease->redis, &call, done, lease);
}

static bool is_outcome(const struct redis_reply *reply, const char *word)
{
    const char *outcome = redis_reply_string(redis_reply_at(reply, 0), NULL);
    return outcome != NULL && strcmp(outcome, word) == 0;
}

/* --- Another incarnation that has it --- */

static bool is_others(const struct redis_reply *reply)
{
    return is_outcome(reply, "held") || is_outcome(reply, "suspect");
}

static void forget_other(struct lease *lease)
{
    lease->other = (struct other){0};
}

/* Whoever is subscribed lives, or has died and Redis has not noticed. Whoever is not has died,
 * or is just connecting again. Renewing tells. */
static void note_other(struct lease *lease, const struct redis_reply *reply)
{
    struct other *other = &lease->other;
    int64_t now_ms = clock_monotonic_ms();
    bool silent = is_outcome(reply, "suspect");
    const char *seen = redis_reply_string(redis_reply_at(reply, 3), NULL);
    bool changed = seen != NULL && strcmp(seen, other->seen) != 0;
    bool renewed = changed && other->seen[0] != '\0';
    if (changed || !silent || other->silent_since_ms == 0)
        other->silent_since_ms = silent ? now_ms : 0;
    if (renewed && other->renewed_ms == 0)
        other->renewed_ms = now_ms;
    else if (renewed && now_ms - other->renewed_ms >= APART_MS)
        other->renews = true;
    if (changed)
        snprintf(other->seen, sizeof other->seen, "%s", seen);
}

static void look_again(struct lease *lease)
{
    static const struct timeval moment = {0, LOOK_AGAIN_US};
    evtimer_add(lease->look_again, &moment);
}

/* --- Having it --- */

static void report_id_shared(struct lease *lease, const struct redis_reply *reply)
{
    bool id_shared = redis_reply_integer(redis_reply_at(reply, 1)) > 0;
    report(lease, id_shared ? LEASE_SHARED : LEASE_NOT_SHARED);
}

static void supersede(struct lease *lease)
{
    char why[256];
    lease->state = SUPERSEDED;
    snprintf(why, sizeof why,
             "another process has taken the gateway-id %s over while this one was thought dead; "
             "going away",
             lease->config->gateway_id);
    log_lease(lease, LOG_LEVEL_ERROR, "gateway-superseded", why);
    report(lease, LEASE_SUPERSEDED);
}

/* Redis may have gone back to a time when an earlier incarnation, which is dead, had the lease. */
static void follow_suspect(struct lease *lease, const struct redis_reply *reply)
{
    if (!is_outcome(reply, "suspect")) {
        forget_other(lease);
        return;
    }
    note_other(lease, reply);
    if (lease->state == HELD)
        look_again(lease);
}

/* It is ours at this moment. */
static void note_own(struct lease *lease)
{
    sightings_note(&lease->options.metrics->gateways, lease->config->gateway_id,
                   clock_monotonic_ms());
}

static void on_renewed(void *arg, const struct redis_reply *reply)
{
    struct lease *lease = arg;
    if (redis_reply_is_error(reply)) {
        forget_other(lease);
        report(lease, LEASE_FAILED);
        return;
    }
    log_repair(lease, reply);
    follow_suspect(lease, reply);
    if (is_outcome(reply, "lost") && lease->state == HELD && !lease->draining)
        supersede(lease);
    else if (is_outcome(reply, "shared") && lease->state == HELD)
        lease->state = SUPERSEDED;
    if (is_outcome(reply, "shared"))
        log_once(lease, &lease->succession_logged, LOG_LEVEL_INFO, "gateway-succeeded",
                 "a successor of the same gateway-id has taken over; going on until everybody has "
                 "moved");
    report_id_shared(lease, reply);
    if (lease->state == HELD && !is_outcome(reply, "suspect") && !is_outcome(reply, "lost"))
        note_own(lease);
    if (lease->state != HELD || !(is_outcome(reply, "acquired") || is_outcome(reply, "taken-over")))
        return;
    log_lease(lease, LOG_LEVEL_WARN, "lease-lost",
              "the lease ran out or Redis forgot it; putting all members back");
    report(lease, LEASE_LAPSED);
}

/* --- Getting it --- */

static void set_waiting(struct lease *lease, bool waiting)
{
    bool changes = waiting != lease->waiting;
    lease->waiting = waiting;
    if (changes)
        report(lease, waiting ? LEASE_AWAITED : LEASE_NOT_AWAITED);
}

static void take_lease(struct lease *lease, const struct redis_reply *reply)
{
    lease->state = HELD;
    note_own(lease);
    forget_other(lease);
    set_waiting(lease, false);
    if (is_outcome(reply, "taken-over"))
        log_lease(
            lease, LOG_LEVEL_WARN, "gateway-taken-over",
            redis_reply_integer(redis_reply_at(reply, 1)) > 0
                ? "an earlier process of this gateway-id is going away beside this one"
                : "an earlier process of this gateway-id is dead, though its lease has not run "
                  "out");
    /* should this gateway die, it has not stopped */
    redis_send_strings(lease->redis, NULL, NULL, "DEL", lease->gone_key.text, NULL);
    report(lease, LEASE_TAKEN);
    report_id_shared(lease, reply);
}

static void refuse_start(struct lease *lease, const struct redis_reply *reply)
{
    char why[320];
    const char *address = redis_reply_string(redis_reply_at(reply, 4), NULL);
    lease->state = REFUSED;
    snprintf(
        why, sizeof why,
        "gateway-id: another living gateway is called %s (it listens on %.100s); stop it first "
        "(SIGTERM), or give this one another gateway-id",
        lease->config->gateway_id, address == NULL ? "" : address);
    log_lease(lease, LOG_LEVEL_ERROR, "gateway-id-taken", why);
    lease->options.on_news(lease->options.arg, LEASE_REFUSED, why);
}

static void wait_for_other(struct lease *lease, const struct redis_reply *reply)
{
    note_other(lease, reply);
    if (lease->other.renews) {
        refuse_start(lease, reply);
        return;
    }
    if (is_outcome(reply, "held"))
        log_once(lease, &lease->waiting_logged, LOG_LEVEL_WARN, "gateway-waiting",
                 "another process of this gateway-id is connected to Redis; waiting to see whether "
                 "it renews its lease, or lets it run out");
    set_waiting(lease, true);
    look_again(lease);
}

/* Nothing is known of the other one while Redis does not answer. */
static void stop_waiting(struct lease *lease)
{
    forget_other(lease);
    set_waiting(lease, false);
}

static void on_started(void *arg, const struct redis_reply *reply)
{
    struct lease *lease = arg;
    lease->under_way = false;
    if (redis_reply_is_error(reply))
        report(lease, LEASE_FAILED);
    else
        log_repair(lease, reply);
    if (lease->state != ENTERING || lease->draining)
        return;
    if (redis_reply_is_error(reply)) {
        stop_waiting(lease);
        look_again(lease);
    } else if (is_others(reply)) {
        wait_for_other(lease, reply);
    } else {
        take_lease(lease, reply);
    }
}

static void ask_for_lease(struct lease *lease)
{
    if (lease->under_way)
        return;
    lease->under_way = call_script(lease, "start", on_started) == 0;
    if (!lease->under_way)
        stop_waiting(lease);
}

static void on_look_again(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    lease_renew(arg);
}

void lease_renew(struct lease *lease)
{
    if (lease->state == ENTERING && !lease->draining)
        ask_for_lease(lease);
    else if (lease->state == HELD || lease->state == SUPERSEDED)
        call_script(lease, lease->draining ? "drain" : "renew", on_renewed);
}

void lease_up(struct lease *lease)
{
    forget_other(lease);
    lease_renew(lease);
}

bool lease_is_held(const struct lease *lease)
{
    return lease->state == HELD;
}

/* --- Giving it back --- */

void lease_drain(struct lease *lease)
{
    lease->draining = true;
    lease_renew(lease);
}

static void on_word_left(void *arg, const struct redis_reply *reply)
{
    struct lease *lease = arg;
    (void)reply;
    lease->on_left(lease->left_arg);
}

static void on_gone(void *arg, const struct redis_reply *reply)
{
    struct lease *lease = arg;
    char ttl[TEXT_NUMBER_BYTES];
    bool gone = is_outcome(reply, "gone");
    text_number(script_settings_member_ttl(lease->config), ttl);
    if (gone)
        report(lease, LEASE_GONE);
    if (!gone || redis_send_strings(lease->redis, on_word_left, lease, "SET", lease->gone_key.text,
                                    "1", "EX", ttl, NULL) != 0)
        on_word_left(lease, NULL);
}

int lease_leave(struct lease *lease, void (*done)(void *arg), void *arg)
{
    if (lease->state != HELD && lease->state != SUPERSEDED)
        return -1;
    lease->state = LEFT;
    lease->on_left = done;
    lease->left_arg = arg;
    return call_script(lease, "leave", on_gone);
}

/* --- The whole --- */

struct lease *lease_new(const struct lease_options *options)
{
    struct lease *lease = memory_new(sizeof *lease);
    lease->options = *options;
    lease->config = broker_commands(options->broker)->config;
    lease->redis = broker_commands(options->broker)->redis;
    const char *prefix = lease->config->redis_prefix;
    const char *id = lease->config->gateway_id;
    lease->key = key_gateway(prefix, id);
    lease->gone_key = key_gateway_gone(prefix, id);
    lease->incarnation_channel = key_item(key_gateway_channel(lease->config, id).text, "life", "");
    lease->look_again = evtimer_new(options->base, on_look_again, lease);
    return lease;
}

void lease_free(struct lease *lease)
{
    if (lease == NULL)
        return;
    event_free(lease->look_again);
    free(lease);
}
