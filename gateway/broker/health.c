#include "broker/health.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "broker/topic.h"
#include "redis/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVERY_MS = 2000,
    SLOW_MS = 1000,
    SILENT_MS = 5000,
    HELD_UP_MS = 2000,   /* between two looks, that is one second more than usual */
    HOPELESS_MS = 30000, /* it talks, but answers no command before its deadline */
};

#define PREFIX      "probe " /* of what is published */
#define KEY_SECONDS "60"
#define MOST_KEPT   "4:0" /* with ":s" on a sharded channel */

enum stage { IDLE, AWAITS_REPLY, AWAITS_PUSH };

struct health {
    struct health_options options;
    enum stage stage;    /* of the last probe */
    unsigned unanswered; /* calls; only the last one's reply counts */
    char payload[32];
    int64_t sent_us;
    int64_t due_since_ms;     /* since when the connection that is to send next has to */
    int64_t sent_ms;          /* 0: the next one is due */
    int64_t awaited_since_ms; /* the first one since one came back, 0: none */
    int64_t last_ok_ms;       /* 0: never */
    int64_t ticked_ms;        /* when it was last asked whether Redis is lost; 0: never */
    bool healthy;             /* one came back since the connections are new */
    char refused[300];        /* why Redis refused the last one; "" when it did not */
};

struct health *health_new(const struct health_options *options)
{
    struct health *health = memory_new(sizeof *health);
    health->options = *options;
    return health;
}

void health_free(struct health *health)
{
    free(health);
}

void health_reset(struct health *health)
{
    health->stage = IDLE;
    health->sent_ms = 0;
    health->awaited_since_ms = 0;
    health->ticked_ms = 0;
    health->healthy = false;
}

/* --- There and back --- */

static bool is_about_writing(const struct redis_error *error)
{
    static const char *const words[] = {"OOM", "MISCONF", "READONLY", "NOREPLICAS"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(error->word, words[i]) == 0)
            return true;
    return false;
}

static void note_probe_refused(struct health *health, const struct redis_error *error)
{
    health->healthy = false;
    health->awaited_since_ms = 0;
    snprintf(health->refused, sizeof health->refused, "%s: %s",
             is_about_writing(error) ? "Redis takes no writes" : "Redis refuses what people need",
             error->text);
}

static void on_probe_answered(void *arg, const struct redis_reply *reply)
{
    struct health *health = arg;
    struct redis_error error;
    if (--health->unanswered > 0 ||
        health->stage != AWAITS_REPLY) /* it is back before the answer */
        return;
    health->stage = IDLE; /* without an answer, another one is sent */
    if (reply == NULL)
        return;
    if (redis_reply_error(reply, &error)) {
        note_probe_refused(health, &error);
        return;
    }
    health->stage = AWAITS_PUSH;
    health->due_since_ms = clock_monotonic_ms();
}

/* The keys of a room, as a member's messages and joins use them. */
static void add_keys(struct script_call *call, const struct health_options *options)
{
    const struct key all[] = {key_part(options->base, "head"), key_part(options->base, "recent"),
                              key_part(options->base, "members"),
                              key_item(options->base, "member", "probe"),
                              key_item(options->base, "nonces", "probe")};
    script_add_key(call, options->channel, strlen(options->channel));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        script_add_key(call, all[i].text, strlen(all[i].text));
}

static int call_probe(struct health *health)
{
    struct script_call call;
    script_begin(&call, "probe");
    add_keys(&call, &health->options);
    script_add(&call, health->payload + sizeof PREFIX - 1); /* an epoch */
    script_add(&call, KEY_SECONDS);
    script_add(&call, health->options.keeps ? KEY_SECONDS : "0");
    script_add(&call, health->options.sharded ? MOST_KEPT ":s" : MOST_KEPT);
    script_add(&call, health->payload);
    return script_run(health->options.commands, &call, on_probe_answered, health);
}

void health_send_probe(struct health *health)
{
    int64_t now_ms = clock_monotonic_ms();
    uint64_t random;
    digest_random(&random, sizeof random);
    snprintf(health->payload, sizeof health->payload, PREFIX "%016" PRIx64, random);
    if (call_probe(health) != 0)
        return;
    health->unanswered++;
    if (health->awaited_since_ms == 0 || health->stage == AWAITS_PUSH)
        health->due_since_ms = now_ms;
    health->stage = AWAITS_REPLY;
    health->sent_ms = now_ms;
    health->sent_us = clock_monotonic_us();
    if (health->awaited_since_ms == 0)
        health->awaited_since_ms = now_ms;
}

void health_probe_soon(struct health *health)
{
    health->sent_ms = 0;
}

bool health_take_probe(struct health *health, const char *text)
{
    if (health->awaited_since_ms == 0 || strcmp(text, health->payload) != 0)
        return false; /* not the last one sent, or not ours at all */
    metrics_add_lag(health->options.metrics, clock_monotonic_us() - health->sent_us);
    health->stage = IDLE;
    health->last_ok_ms = clock_monotonic_ms();
    health->healthy = true;
    health->refused[0] = '\0';
    health->awaited_since_ms = 0;
    return true;
}

/* The connection that has to say something next has said nothing for so long. */
static bool is_lost(const struct health *health, int64_t now_ms)
{
    const struct redis *next =
        health->stage == AWAITS_PUSH ? health->options.subscriber : health->options.commands;
    int64_t silent_since_ms = redis_last_rx_ms(next);
    if (health->awaited_since_ms == 0)
        return false;
    if (silent_since_ms < health->due_since_ms)
        silent_since_ms = health->due_since_ms; /* there was nothing to say */
    return now_ms - silent_since_ms > SILENT_MS || now_ms - health->awaited_since_ms > HOPELESS_MS;
}

/* Was it this process that did not run? Then Redis may not have run either, and has
 * its five seconds from now on. */
static void excuse_silence(struct health *health, int64_t now_ms)
{
    if (health->ticked_ms != 0 && now_ms - health->ticked_ms > HELD_UP_MS)
        health->due_since_ms = now_ms;
    health->ticked_ms = now_ms;
}

bool health_tick(struct health *health)
{
    int64_t now_ms = clock_monotonic_ms();
    excuse_silence(health, now_ms);
    if (is_lost(health, now_ms)) {
        health_reset(health); /* nobody need hear that the connections were lost, as in a cluster */
        return false;
    }
    if (health->stage == IDLE && (health->sent_ms == 0 || now_ms - health->sent_ms >= EVERY_MS))
        health_send_probe(health);
    return true;
}

bool health_is_ok(const struct health *health)
{
    int64_t since_ms = health->awaited_since_ms;
    return health->healthy && (since_ms == 0 || clock_monotonic_ms() - since_ms < SLOW_MS);
}

int64_t health_last_ok_ms(const struct health *health)
{
    return health->last_ok_ms;
}

const char *health_why_refused(const struct health *health)
{
    return health->refused[0] == '\0' ? NULL : health->refused;
}
