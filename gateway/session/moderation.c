#include "session/moderation.h"

#include "base/clock.h"
#include "base/memory.h"
#include "session/rules.h"
#include "session/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASK_AGAIN_MS = 1000,
    WRITES_AT_ONCE = 32, /* a millisecond or two of Redis' time */
};

struct moderation {
    struct sessions *all;
    const struct commands *commands; /* the broker's */
    void (*on_known)(void *entry);
    bool listens, missed; /* the channel was cut: what was published meanwhile is not known */
    char run_id[48];      /* of the Redis whose commands were heard last */
    unsigned writes_in_flight;
};

/* --- Rules of a room, as Redis has them --- */

struct question {
    struct moderation *moderation;
    uint64_t changes; /* of the rules, when it was asked */
    bool instead;     /* what Redis has is all that there is */
    char room[NAME_BYTES];
};

static void ask_rules(struct room_entry *entry, bool instead);

static void take_rules(const struct question *question, const struct redis_reply *reply)
{
    const struct moderation *moderation = question->moderation;
    struct rules *rules = moderation->all->rules;
    struct rule_record rule;
    if (question->instead)
        rules_forget(rules, question->room);
    for (size_t at = 0; commands_next_rule(moderation->commands, reply, &at, &rule);)
        rules_keep(rules, question->room, &rule);
}

/* An answer that came after a command may be older than that: asked again. */
static void on_rules(void *arg, const struct redis_reply *reply)
{
    struct question *question = arg;
    const struct moderation *moderation = question->moderation;
    struct room_entry *entry = session_find_entry(moderation->all, question->room);
    if (entry != NULL)
        entry->rules_in_flight = false;
    if (entry == NULL || redis_reply_is_error(reply))
        ; /* moderation_tick asks again */
    else if (rules_changes(moderation->all->rules) != question->changes)
        ask_rules(entry, question->instead);
    else {
        take_rules(question, reply);
        entry->rules_known = true;
        moderation->on_known(entry);
    }
    free(question);
}

static void ask_rules(struct room_entry *entry, bool instead)
{
    struct moderation *moderation = entry->all->moderation;
    struct question *question = memory_new(sizeof *question);
    *question = (struct question){
        .moderation = moderation, .changes = rules_changes(entry->all->rules), .instead = instead};
    snprintf(question->room, sizeof question->room, "%s", room_name(entry->room));
    entry->rules_asked_ms = clock_monotonic_ms();
    entry->rules_in_flight =
        commands_read_rules(moderation->commands, question->room, on_rules, question) == 0;
    if (!entry->rules_in_flight)
        free(question);
}

void moderation_open(struct room_entry *entry)
{
    entry->rules_known = false;
    ask_rules(entry, false);
}

static void write_some(struct moderation *moderation);

/* One that got no answer may not have come there, and others as little. */
static void on_written(void *arg, const struct redis_reply *reply)
{
    struct moderation *moderation = arg;
    moderation->writes_in_flight--;
    if (reply == NULL)
        rules_mark_unwritten(moderation->all->rules);
    else
        write_some(moderation);
}

/* There may be many rules, and others who wait for Redis and for this loop. */
static void write_some(struct moderation *moderation)
{
    struct sessions *all = moderation->all;
    struct rule_record rule;
    const char *room;
    while (redis_is_ready(moderation->commands->redis) &&
           moderation->writes_in_flight < WRITES_AT_ONCE &&
           rules_next_unwritten(all->rules, session_redis_now_ms(all), &room, &rule))
        if (commands_write_rule(moderation->commands, room, &rule, on_written, moderation) == 0)
            moderation->writes_in_flight++;
}

void moderation_write_again(struct sessions *all)
{
    rules_mark_unwritten(all->rules);
    write_some(all->moderation);
}

const char *moderation_set(struct sessions *all, const char *room, const struct rule_record *rule)
{
    struct moderation *moderation = all->moderation;
    if (rules_keep(all->rules, room, rule) != 0)
        return "There are too many rules: 200 in a room, 1,000 bans, and 1,000 rooms.";
    if (commands_write_rule(moderation->commands, room, rule, on_written, moderation) == 0)
        moderation->writes_in_flight++;
    else
        rules_mark_unwritten(all->rules);
    return NULL;
}

/* --- What was missed --- */

/* Commands may have passed unheard: then Redis has what they ordered. If it is another one by now,
 * or the same without its memory, it gets what is known here. */
static void make_up(struct moderation *moderation)
{
    struct sessions *all = moderation->all;
    const char *run_id = redis_server(moderation->commands->redis)->run_id;
    bool is_known = run_id[0] != '\0';
    bool same = is_known && strcmp(run_id, moderation->run_id) == 0;
    if (!moderation->listens || !redis_is_ready(moderation->commands->redis) ||
        redis_is_held(moderation->commands->redis)) /* which one it will be is not known yet */
        return;
    if (!moderation->missed && (same || !is_known))
        return;
    struct room_entry *entry;
    snprintf(moderation->run_id, sizeof moderation->run_id, "%s", run_id);
    moderation->missed = false;
    if (!same)
        moderation_write_again(all);
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;)
        if (room_is_open(entry->room))
            ask_rules(entry, same);
}

void moderation_on_channel(struct sessions *all, bool listens)
{
    struct moderation *moderation = all->moderation;
    moderation->listens = listens;
    moderation->missed = moderation->missed || !listens;
    make_up(moderation);
}

void moderation_on_up(struct sessions *all)
{
    make_up(all->moderation);
}

void moderation_tick(struct sessions *all)
{
    struct moderation *moderation = all->moderation;
    int64_t now_ms = clock_monotonic_ms();
    struct room_entry *entry;
    rules_tick(all->rules, session_redis_now_ms(all));
    make_up(moderation);
    write_some(moderation);
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;)
        if (room_is_open(entry->room) && !entry->rules_known && !entry->rules_in_flight &&
            now_ms - entry->rules_asked_ms >= ASK_AGAIN_MS)
            ask_rules(entry, false);
}

/* --- Judging --- */

static void refuse(struct session *session, struct message_error *error, const char *nonce)
{
    error->nonce = nonce;
    error->not_accepted = nonce != NULL;
    session_error(session, error);
}

bool moderation_refuses(struct session *session, const char *nonce)
{
    const struct sessions *all = session->all;
    const struct rules_member member = {session->identity->id, identity_folded(session->identity),
                                        &session->address};
    struct message_error error;
    if (!rules_judge_muted(all->rules, room_name(session->entry->room), &member,
                           session_redis_now_ms(all), &error))
        return false;
    refuse(session, &error, nonce);
    return true;
}

bool moderation_refuses_say(struct session *session, const char *nonce)
{
    const struct sessions *all = session->all;
    struct message_error error;
    if (moderation_refuses(session, nonce))
        return true;
    if (!rules_judge_slow(all->rules, room_name(session->entry->room), session->identity->id,
                          session_redis_now_ms(all), &error))
        return false;
    refuse(session, &error, nonce);
    return true;
}

/* --- Life --- */

struct moderation *moderation_new(struct sessions *all, void (*on_known)(void *entry))
{
    struct moderation *moderation = memory_new(sizeof *moderation);
    moderation->all = all;
    moderation->commands = broker_commands(all->options.broker);
    moderation->on_known = on_known;
    moderation->missed = true;
    return moderation;
}

void moderation_free(struct moderation *moderation)
{
    free(moderation);
}
