#include "probe.h"

#include "clock.h"
#include "digest.h"
#include "memory.h"

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

#define KEY_MS "10000"

enum stage { NONE, WRITING, PUBLISHING, COMING };

struct probe {
    struct probe_options options;
    enum stage stage; /* of the last one */
    char word[32];
    int64_t owed_ms;          /* since when the connection that is to speak next has to */
    int64_t sent_ms;          /* 0: none since the connections are new */
    int64_t published_us;     /* when it was handed over to be published */
    int64_t awaited_since_ms; /* the first one since one came back, 0: none */
    int64_t back_ms;          /* 0: never */
    int64_t looked_ms;        /* when it was last asked whether Redis is lost; 0: never */
    bool proven;              /* one came back since the connections are new */
    char refused[200];        /* why Redis takes no writes */
};

struct probe *probe_new(const struct probe_options *options)
{
    struct probe *probe = memory_new(sizeof *probe);
    probe->options = *options;
    return probe;
}

void probe_free(struct probe *probe)
{
    free(probe);
}

void probe_forget(struct probe *probe)
{
    probe->stage = NONE;
    probe->sent_ms = 0;
    probe->awaited_since_ms = 0;
    probe->looked_ms = 0;
    probe->proven = false;
}

/* --- There and back --- */

/* The answer to the last probe's command; true when the next step can be taken. */
static bool take_answer(struct probe *probe, enum stage stage, const struct redis_reply *reply)
{
    if (probe->stage != stage) /* to an earlier one, or it is back before the answer */
        return false;
    probe->stage = NONE; /* without an answer, another one is sent */
    if (reply == NULL)
        return false;
    if (!redis_reply_is_error(reply))
        return true;
    probe->proven = false;
    probe->awaited_since_ms = 0;
    snprintf(probe->refused, sizeof probe->refused, "Redis takes no writes: %.150s",
             redis_reply_string(reply, NULL));
    return false;
}

static void on_published(void *arg, const struct redis_reply *reply)
{
    struct probe *probe = arg;
    if (!take_answer(probe, PUBLISHING, reply))
        return;
    probe->stage = COMING;
    probe->owed_ms = clock_monotonic_ms();
}

static void on_written(void *arg, const struct redis_reply *reply)
{
    struct probe *probe = arg;
    if (!take_answer(probe, WRITING, reply))
        return;
    probe->published_us = clock_monotonic_us();
    if (redis_send_strings(probe->options.commands, on_published, probe, "PUBLISH",
                           probe->options.channel, probe->word, NULL) == 0)
        probe->stage = PUBLISHING;
}

void probe_send(struct probe *probe)
{
    int64_t now_ms = clock_monotonic_ms();
    uint64_t random;
    digest_random(&random, sizeof random);
    snprintf(probe->word, sizeof probe->word, PROBE_WORD "%" PRIu64, random);
    if (redis_send_strings(probe->options.commands, on_written, probe, "SET", probe->options.key,
                           probe->word, "PX", KEY_MS, NULL) != 0)
        return;
    if (probe->awaited_since_ms == 0 || probe->stage == COMING)
        probe->owed_ms = now_ms;
    probe->stage = WRITING;
    probe->sent_ms = now_ms;
    if (probe->awaited_since_ms == 0)
        probe->awaited_since_ms = now_ms;
}

void probe_came(struct probe *probe, const char *text)
{
    if (probe->awaited_since_ms == 0 || strcmp(text, probe->word + sizeof PROBE_WORD - 1) != 0)
        return; /* not the last one sent, or not ours at all */
    metrics_add_lag(probe->options.metrics, clock_monotonic_us() - probe->published_us);
    probe->stage = NONE;
    probe->back_ms = clock_monotonic_ms();
    probe->proven = true;
    probe->refused[0] = '\0';
    probe->awaited_since_ms = 0;
}

/* The connection that has to say something next has said nothing for so long. */
static bool is_lost(const struct probe *probe, int64_t now_ms)
{
    const struct redis *next =
        probe->stage == COMING ? probe->options.subscriber : probe->options.commands;
    int64_t silent_since_ms = redis_heard_ms(next);
    if (probe->awaited_since_ms == 0)
        return false;
    if (silent_since_ms < probe->owed_ms)
        silent_since_ms = probe->owed_ms; /* there was nothing to say */
    return now_ms - silent_since_ms > SILENT_MS || now_ms - probe->awaited_since_ms > HOPELESS_MS;
}

/* Was it this process that did not run? Then Redis may not have had its turn yet either, and has
 * its five seconds from now on. */
static void excuse_silence(struct probe *probe, int64_t now_ms)
{
    if (probe->looked_ms != 0 && now_ms - probe->looked_ms > HELD_UP_MS)
        probe->owed_ms = now_ms;
    probe->looked_ms = now_ms;
}

bool probe_tick(struct probe *probe)
{
    int64_t now_ms = clock_monotonic_ms();
    excuse_silence(probe, now_ms);
    if (is_lost(probe, now_ms))
        return false;
    if (probe->stage == NONE && now_ms - probe->sent_ms >= EVERY_MS)
        probe_send(probe);
    return true;
}

bool probe_flows(const struct probe *probe)
{
    int64_t since_ms = probe->awaited_since_ms;
    return probe->proven && (since_ms == 0 || clock_monotonic_ms() - since_ms < SLOW_MS);
}

int64_t probe_back_ms(const struct probe *probe)
{
    return probe->back_ms;
}

const char *probe_refused(const struct probe *probe)
{
    return probe->refused[0] == '\0' ? NULL : probe->refused;
}
