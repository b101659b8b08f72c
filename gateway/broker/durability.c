#include "broker/durability.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/trouble_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(4 * DURABILITY_WAIT_MS < REDIS_DEADLINE_MS,
               "an answer comes before it is given up, on a slow path as well");

enum { HISTORY_BYTES = 48, WHY_BYTES = 320 };

#define KEY_SECONDS "60"
#define REPLICAS    "1"

struct durability {
    struct durability_options options;
    struct redis *redis;
    unsigned address_index; /* the commands connection's, which alone moves it on */
    char *key;
    struct link waits;           /* in the order of their answers: those that are asked for, then */
    size_t asked;                /* … so many, those that have come since */
    size_t says;                 /* in all of them */
    bool asking;                 /* WAIT is under way */
    int64_t asked_us;            /* since then */
    bool written;                /* what goes before it */
    bool by_replica;             /* one has confirmed it */
    char history[HISTORY_BYTES]; /* the last that was read; "": none since it is connected */
    uint64_t current;            /* its number; 0: not known */
    uint64_t histories;          /* so many were known, ever */
    char why[WHY_BYTES];         /* the WAIT under way fails; "" */
    char why_lost[WHY_BYTES];    /* why there is no connection */
    struct trouble_log silence;  /* no replica confirms */
};

/* --- Telling --- */

static struct durability_wait *take_first(struct durability *durability)
{
    struct durability_wait *wait = LIST_ITEM(durability->waits.next, struct durability_wait, link);
    list_remove(&wait->link);
    durability->says -= wait->says;
    return wait;
}

static void tell(struct durability_wait *wait, bool known)
{
    struct redis_reply *reply = wait->reply; /* the wait is gone with the call */
    wait->done(wait->arg, known ? reply : NULL);
    redis_reply_free(reply);
}

static bool is_known(const struct durability *durability, const struct durability_wait *wait)
{
    if (!wait->confirm)
        return true;
    return durability->by_replica && wait->history != 0 && wait->history == durability->current;
}

static void tell_asked(struct durability *durability)
{
    for (; durability->asked > 0; durability->asked--) {
        struct durability_wait *wait = take_first(durability);
        tell(wait, is_known(durability, wait));
    }
}

/* --- Asking --- */

static void set_history(struct durability *durability, const char *history)
{
    if (strcmp(durability->history, history) == 0)
        return;
    snprintf(durability->history, sizeof durability->history, "%s", history);
    durability->current = history[0] == '\0' ? 0 : ++durability->histories;
}

static void read_history(struct durability *durability, const struct redis_reply *reply)
{
    char history[HISTORY_BYTES] = "";
    const char *info = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    if (info != NULL)
        redis_info_field(info, "master_replid", history, sizeof history);
    set_history(durability, history);
    if (history[0] != '\0')
        redis_reset_backoff(durability->redis);
}

static void on_history(void *arg, const struct redis_reply *reply)
{
    read_history(arg, reply);
}

static void ask_history(struct durability *durability)
{
    redis_send_strings(durability->redis, on_history, durability, "INFO", "replication", NULL);
}

static void note_error(struct durability *durability, const struct redis_reply *reply)
{
    struct redis_error error;
    if (durability->why[0] == '\0' && redis_reply_error(reply, &error))
        snprintf(durability->why, sizeof durability->why, "%s", error.text);
}

static void on_written(void *arg, const struct redis_reply *reply)
{
    struct durability *durability = arg;
    durability->written = !redis_reply_is_error(reply);
    note_error(durability, reply);
}

/* Of a Redis that does not answer at all, others tell in the log. */
static void note_waited(struct durability *durability)
{
    struct metrics *metrics = durability->options.server.metrics;
    bool by_replica = durability->by_replica;
    metrics->replica_waits++;
    metrics->replica_waits_failed += !by_replica;
    histogram_add(&metrics->replica_wait, clock_monotonic_us() - durability->asked_us);
    if (by_replica)
        trouble_log_note_over(&durability->silence);
    else if (durability->why[0] != '\0')
        trouble_log_note(&durability->silence, durability->why);
}

static void on_waited(void *arg, const struct redis_reply *reply)
{
    struct durability *durability = arg;
    durability->by_replica = durability->written && redis_reply_integer(reply) > 0;
    note_error(durability, reply);
    if (reply != NULL && !durability->by_replica && durability->why[0] == '\0')
        snprintf(durability->why, sizeof durability->why, "no replica has it within %d ms",
                 DURABILITY_WAIT_MS);
}

/* The history that goes on after WAIT was there all the time, if it was known before. */
static void on_asked(void *arg, const struct redis_reply *reply)
{
    struct durability *durability = arg;
    read_history(durability, reply);
    if (reply == NULL)
        redis_reconnect(durability->redis, "it did not answer to WAIT");
    note_waited(durability);
    durability->asking = false;
    tell_asked(durability);
}

static void send_wait(struct durability *durability)
{
    char ms[TEXT_NUMBER_BYTES];
    struct redis *redis = durability->redis;
    text_number(DURABILITY_WAIT_MS, ms);
    redis_send_strings(redis, on_written, durability, "SET", durability->key, "", "EX", KEY_SECONDS,
                       NULL);
    redis_send_strings(redis, on_waited, durability, "WAIT", REPLICAS, ms, NULL);
    if (redis_send_strings(redis, on_asked, durability, "INFO", "replication", NULL) != 0)
        redis_fail(redis, on_asked, durability);
}

static size_t count_waits(const struct durability *durability)
{
    size_t count = 0;
    for (const struct link *at = durability->waits.next; at != &durability->waits; at = at->next)
        count++;
    return count;
}

void durability_flush(struct durability *durability)
{
    if (durability == NULL)
        return;
    if (!durability->asking && !list_is_empty(&durability->waits)) {
        durability->asked = count_waits(durability);
        durability->asking = true;
        durability->asked_us = clock_monotonic_us();
        durability->written = durability->by_replica = false;
        durability->why[0] = '\0';
        send_wait(durability);
    }
    redis_flush(durability->redis);
}

void durability_tick(struct durability *durability)
{
    if (durability == NULL)
        return;
    redis_ask_server(durability->options.commands);
    redis_ask_server(durability->redis);
    if (durability->current == 0)
        ask_history(durability);
}

/* --- Waiting --- */

void durability_begin(const struct durability *durability, struct durability_wait *wait)
{
    wait->history = durability == NULL ? 0 : durability->current;
}

/* Why it is not known that both connections have reached the same Redis; NULL: they have. One that
 * does not tell which it is need not be another one. */
static const char *why_not_same(struct durability *durability)
{
    const char *commands = redis_server(durability->options.commands)->run_id;
    const char *own = redis_server(durability->redis)->run_id;
    if (commands[0] == '\0' || own[0] == '\0')
        return "Redis does not tell which process it is (run_id): it may be another one";
    if (strcmp(commands, own) == 0)
        return NULL;
    redis_reconnect(durability->redis, "it has reached another Redis than what people say");
    return "the connection that asks replicas has reached another Redis";
}

static const char *why_not_ready(const struct durability *durability)
{
    if (durability->current != 0)
        return NULL;
    if (redis_is_ready(durability->redis))
        return "Redis does not tell its history to the connection that asks replicas";
    return durability->why_lost;
}

/* Why a replica cannot be asked; NULL: it can. */
static const char *why_not_asked(struct durability *durability)
{
    const char *why = why_not_ready(durability);
    return why != NULL ? why : why_not_same(durability);
}

static bool can_be_confirmed(struct durability *durability)
{
    const char *why = why_not_asked(durability);
    if (why == NULL)
        return true;
    trouble_log_note(&durability->silence, why);
    durability->options.server.metrics->replica_waits++;
    durability->options.server.metrics->replica_waits_failed++;
    return false;
}

void durability_await(struct durability *durability, struct durability_wait *wait,
                      const struct redis_reply *reply)
{
    bool accepted = !redis_reply_is_error(reply);
    wait->confirm = accepted && can_be_confirmed(durability);
    bool keeps_order = wait->confirm || !list_is_empty(&durability->waits);
    if (accepted && !wait->confirm)
        reply = NULL;
    if (!keeps_order || durability->says + wait->says > DURABILITY_MOST_SAYS) {
        wait->done(wait->arg, accepted ? NULL : reply);
        return;
    }
    wait->reply = redis_reply_copy(reply);
    list_init(&wait->link);
    list_add(&durability->waits, &wait->link);
    durability->says += wait->says;
}

/* --- The connection --- */

static void on_ready(void *arg)
{
    ask_history(arg);
}

static void on_lost(void *arg, const char *why)
{
    struct durability *durability = arg;
    set_history(durability, "");
    durability->address_index = *durability->options.server.address_index;
    snprintf(durability->why_lost, sizeof durability->why_lost,
             "the connection that asks replicas is not there: %s", why);
}

static void on_error(void *arg, const struct redis_error *error)
{
    struct durability *durability = arg;
    durability->options.on_error(durability->options.arg, error);
}

const char *durability_why_not_ready(const struct durability *durability)
{
    return durability == NULL ? NULL : why_not_ready(durability);
}

void durability_reconnect(struct durability *durability, const char *why)
{
    if (durability != NULL)
        redis_reconnect(durability->redis, why);
}

void durability_move(struct durability *durability, const char *why)
{
    if (durability != NULL)
        redis_move(durability->redis, why);
}

/* --- The whole --- */

struct durability *durability_new(const struct durability_options *options)
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error};
    struct durability *durability = memory_new(sizeof *durability);
    durability->options = *options;
    durability->key = memory_copy_string(options->key);
    durability->address_index = *options->server.address_index;
    list_init(&durability->waits);
    snprintf(durability->why_lost, sizeof durability->why_lost,
             "the connection that asks replicas is not there yet");
    durability->silence = (struct trouble_log){
        .log = options->log,
        .begins = {.level = LOG_LEVEL_WARN,
                   .kind = "replicas-silent",
                   .message = "no replica confirms what people say: it is shown, and not "
                              "acknowledged"},
        .ends = {.kind = "replicas-confirm", .message = "what people say is acknowledged again"},
    };
    struct redis_options server = options->server;
    server.address_index = &durability->address_index;
    durability->redis = redis_new(&server, &callbacks, durability);
    return durability;
}

void durability_stop(struct durability *durability)
{
    if (durability == NULL)
        return;
    redis_stop(durability->redis);
    durability->by_replica = false;
    durability->asked = count_waits(durability);
    tell_asked(durability);
}

void durability_free(struct durability *durability)
{
    if (durability == NULL)
        return;
    durability_stop(durability);
    redis_free(durability->redis);
    free(durability->key);
    free(durability);
}
