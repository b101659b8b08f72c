#include "broker/ban_lookup.h"

#include "base/memory.h"
#include "config/address_names.h"

#include <assert.h>
#include <stdlib.h>

struct lookup;

/* One name of the address: its place among them, the smallest block first. */
struct question {
    struct lookup *lookup;
    unsigned place;
};

struct lookup {
    const struct commands *commands;
    struct address address;
    ban_lookup_done done;
    void *arg;
    unsigned unanswered; /* questions */
    bool failed;         /* one of them got no answer */
    unsigned found;      /* the first place that has a ban; its reason: */
    char *reason;        /* NULL: none yet */
    struct question questions[ADDRESS_NAMES_MOST];
};

static struct key ban_key(const struct lookup *lookup, const char *name)
{
    return key_item(lookup->commands->config->redis_prefix, "ban", name);
}

/* Takes the reason over. */
static void finish(struct lookup *lookup, bool known, char *reason, int64_t until_ms)
{
    const struct ban_lookup_result result = {known, reason, until_ms};
    lookup->done(lookup->arg, &result);
    free(lookup);
}

static void on_left(void *arg, const struct redis_reply *reply)
{
    struct lookup *lookup = arg;
    int64_t left_ms = redis_reply_is_error(reply) ? -1 : redis_reply_integer(reply);
    if (reply == NULL || left_ms == -2) { /* -2: it has just ended */
        free(lookup->reason);
        finish(lookup, reply != NULL, NULL, 0);
        return;
    }
    finish(lookup, true, lookup->reason, commands_end_ms(lookup->commands, left_ms));
}

static void ask_left(struct lookup *lookup)
{
    char names[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES];
    address_names(&lookup->address, names);
    if (redis_send_strings(lookup->commands->redis, on_left, lookup, "PTTL",
                           ban_key(lookup, names[lookup->found]).text, NULL) != 0)
        on_left(lookup, NULL);
}

/* A right that Redis' user has not got is in the log (redis-error); people come in all the same. */
static bool is_none(const struct redis_reply *reply)
{
    return redis_reply_has_error(reply, "NOPERM") || redis_reply_has_error(reply, "WRONGTYPE");
}

static void take(struct lookup *lookup, unsigned place, const struct redis_reply *reply)
{
    if (redis_reply_is_error(reply)) {
        lookup->failed = lookup->failed || !is_none(reply);
        return;
    }
    if (redis_reply_string(reply, NULL) == NULL ||
        (lookup->reason != NULL && lookup->found < place))
        return;
    free(lookup->reason);
    lookup->reason = memory_copy_string(redis_reply_text(reply, COMMANDS_REASON_BYTES));
    lookup->found = place;
}

static void on_value(void *arg, const struct redis_reply *reply)
{
    const struct question *question = arg;
    struct lookup *lookup = question->lookup;
    take(lookup, question->place, reply);
    if (--lookup->unanswered > 0)
        return;
    if (lookup->reason != NULL)
        ask_left(lookup);
    else
        finish(lookup, !lookup->failed, NULL, 0);
}

int ban_lookup(const struct commands *commands, const struct address *address, ban_lookup_done done,
               void *arg)
{
    char names[ADDRESS_NAMES_MOST][ADDRESS_TEXT_BYTES];
    unsigned count = (unsigned)address_names(address, names);
    assert(count > 0);
    if (!redis_is_ready(commands->redis))
        return -1;
    struct lookup *lookup = memory_new(sizeof *lookup);
    *lookup = (struct lookup){.commands = commands, .address = *address, .done = done, .arg = arg};
    for (unsigned place = 0; place < count; place++) {
        struct question *question = &lookup->questions[place];
        *question = (struct question){lookup, place};
        lookup->unanswered++;
        if (redis_send_strings(commands->redis, on_value, question, "GET",
                               ban_key(lookup, names[place]).text, NULL) != 0)
            redis_fail(commands->redis, on_value, question);
    }
    return 0;
}
