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

#define KEY_SECONDS "60"
#define MOST_KEPT   "4"

enum stage { NONE, ASKING, COMING };

struct health {
    struct health_options options;
    enum stage stage;    /* of the last one */
    unsigned unanswered; /* calls; only the last one's answer counts */
    char word[32];
    int64_t sent_us;
    int64_t owed_ms;          /* since when the connection that is to speak next has to */
    int64_t sent_ms;          /* 0: the next one is due */
    int64_t awaited_since_ms; /* the first one since one came back, 0: none */
    int64_t back_ms;          /* 0: never */
    int64_t looked_ms;        /* when it was last asked whether Redis is lost; 0: never */
    bool proven;              /* one came back since the connections are new */
    char refused[240];        /* why Redis refused the last one; "" when it did not */
};

struct health *health_new(const struct health_options *options)
{
    struct health *probe = memory_new(sizeof *probe);
    probe->options = *options;
    return probe;
}

void health_free(struct health *probe)
{
    free(probe);
}

void health_forget(struct health *probe)
{
    probe->stage = NONE;
    probe->sent_ms = 0;
    probe->awaited_since_ms = 0;
    probe->looked_ms = 0;
    probe->proven = false;
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

static void note_refusal(struct health *probe, const struct redis_error *error)
{
    probe->proven = false;
    probe->awaited_since_ms = 0;
    snprintf(probe->refused, sizeof probe->refused, "%s: %s",
             is_about_writing(error) ? "Redis takes no writes" : "Redis refuses what people need",
             error->text);
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct health *probe = arg;
    struct redis_error error;
    if (--probe->unanswered > 0 || probe->stage != ASKING) /* it is back before the answer */
        return;
    probe->stage = NONE; /* without an answer, another one is sent */
    if (reply == NULL)
        return;
    if (redis_reply_error(reply, &error)) {
        note_refusal(probe, &error);
        return;
    }
    probe->stage = COMING;
    probe->owed_ms = clock_monotonic_ms();
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

static int ask(struct health *probe)
{
    struct script_call call;
    script_begin(&call, "probe");
    add_keys(&call, &probe->options);
    script_add(&call, probe->word + sizeof HEALTH_PROBE_WORD - 1); /* an epoch */
    script_add(&call, KEY_SECONDS);
    script_add(&call, probe->options.keeps ? KEY_SECONDS : "0");
    script_add(&call, MOST_KEPT);
    script_add(&call, probe->word);
    return script_run(probe->options.commands, &call, on_answered, probe);
}

void health_send(struct health *probe)
{
    int64_t now_ms = clock_monotonic_ms();
    uint64_t random;
    digest_random(&random, sizeof random);
    snprintf(probe->word, sizeof probe->word, HEALTH_PROBE_WORD "%016" PRIx64, random);
    if (ask(probe) != 0)
        return;
    probe->unanswered++;
    if (probe->awaited_since_ms == 0 || probe->stage == COMING)
        probe->owed_ms = now_ms;
    probe->stage = ASKING;
    probe->sent_ms = now_ms;
    probe->sent_us = clock_monotonic_us();
    if (probe->awaited_since_ms == 0)
        probe->awaited_since_ms = now_ms;
}

void health_hurry(struct health *probe)
{
    probe->sent_ms = 0;
}

bool health_came(struct health *probe, const char *text)
{
    if (probe->awaited_since_ms == 0 ||
        strcmp(text, probe->word + sizeof HEALTH_PROBE_WORD - 1) != 0)
        return false; /* not the last one sent, or not ours at all */
    metrics_add_lag(probe->options.metrics, clock_monotonic_us() - probe->sent_us);
    probe->stage = NONE;
    probe->back_ms = clock_monotonic_ms();
    probe->proven = true;
    probe->refused[0] = '\0';
    probe->awaited_since_ms = 0;
    return true;
}

/* The connection that has to say something next has said nothing for so long. */
static bool is_lost(const struct health *probe, int64_t now_ms)
{
    const struct redis *next =
        probe->stage == COMING ? probe->options.subscriber : probe->options.commands;
    int64_t silent_since_ms = redis_last_rx_ms(next);
    if (probe->awaited_since_ms == 0)
        return false;
    if (silent_since_ms < probe->owed_ms)
        silent_since_ms = probe->owed_ms; /* there was nothing to say */
    return now_ms - silent_since_ms > SILENT_MS || now_ms - probe->awaited_since_ms > HOPELESS_MS;
}

/* Was it this process that did not run? Then Redis may not have had its turn yet either, and has
 * its five seconds from now on. */
static void excuse_silence(struct health *probe, int64_t now_ms)
{
    if (probe->looked_ms != 0 && now_ms - probe->looked_ms > HELD_UP_MS)
        probe->owed_ms = now_ms;
    probe->looked_ms = now_ms;
}

bool health_tick(struct health *probe)
{
    int64_t now_ms = clock_monotonic_ms();
    excuse_silence(probe, now_ms);
    if (is_lost(probe, now_ms))
        return false;
    if (probe->stage == NONE && (probe->sent_ms == 0 || now_ms - probe->sent_ms >= EVERY_MS))
        health_send(probe);
    return true;
}

bool health_is_good(const struct health *probe)
{
    int64_t since_ms = probe->awaited_since_ms;
    return probe->proven && (since_ms == 0 || clock_monotonic_ms() - since_ms < SLOW_MS);
}

int64_t health_back_ms(const struct health *probe)
{
    return probe->back_ms;
}

const char *health_refused(const struct health *probe)
{
    return probe->refused[0] == '\0' ? NULL : probe->refused;
}
