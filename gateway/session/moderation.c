#include "session/moderation.h"

#include "base/clock.h"
#include "base/memory.h"
#include "config/address_names.h"
#include "protocol/control.h"
#include "session/bans.h"
#include "session/put_out.h"
#include "session/rules.h"
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_AGAIN_MS = 1000 };

struct moderation {
    struct sessions *all;
    const struct commands *commands; /* the broker's */
    void (*on_known)(void *entry);
    struct key control, done; /* channels */
    bool listens, missed;     /* the channel was cut: what was published meanwhile is not known */
    char run_id[48];          /* of the Redis whose commands were heard last */
};

static int64_t find_now_ms(const struct moderation *moderation)
{
    return commands_now_ms(moderation->commands);
}

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

static struct room_entry *find_open(const struct moderation *moderation, const char *name)
{
    const struct room *room = rooms_find(moderation->all->rooms, name);
    return room == NULL || !room_is_open(room) ? NULL : room_owner(room);
}

/* An answer that came after a command may be older than that: asked again. */
static void on_rules(void *arg, const struct redis_reply *reply)
{
    struct question *question = arg;
    const struct moderation *moderation = question->moderation;
    struct room_entry *entry = find_open(moderation, question->room);
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

static void write_rule(void *arg, const char *room, const struct rule_record *rule)
{
    const struct moderation *moderation = arg;
    commands_write_rule(moderation->commands, room, rule);
}

void moderation_write_again(struct sessions *all)
{
    rules_each(all->rules, find_now_ms(all->moderation), write_rule, all->moderation);
}

/* Keeps it here and in Redis. NULL, or why not. */
static const char *set_rule(const struct moderation *moderation, const char *room,
                            const struct rule_record *rule)
{
    if (rules_keep(moderation->all->rules, room, rule) != 0)
        return "There are too many rules: 200 in a room, 1,000 bans, and 1,000 rooms.";
    commands_write_rule(moderation->commands, room, rule);
    return NULL;
}

/* --- Whom a command is about --- */

struct target {
    const struct control *control;
    struct address_block block; /* BY_ADDRESS */
};

static bool is_meant(const struct target *target, const struct session *session)
{
    const char *whom = target->control->whom;
    switch (target->control->by) {
    case CONTROL_BY_ID:
        return strcmp(session->identity->id, whom) == 0;
    case CONTROL_BY_NAME:
        return strcmp(identity_folded(session->identity), whom) == 0;
    case CONTROL_BY_ADDRESS:
        return address_in_block(&session->address, &target->block);
    case CONTROL_BY_NOTHING:
        break;
    }
    return true;
}

/* Calls `step` for each member who is meant; it may end it. Returns how many there are. */
static size_t each_meant(const struct moderation *moderation, const struct target *target,
                         void (*step)(struct session *session, void *arg), void *arg)
{
    const struct room_entry *entry = find_open(moderation, target->control->room);
    struct link *next;
    size_t count = 0;
    if (entry == NULL)
        return 0;
    for (struct link *at = entry->members.next; at != &entry->members; at = next) {
        struct session *session = LIST_ITEM(at, struct session, in_entry);
        next = at->next;
        if (!is_meant(target, session))
            continue;
        count++;
        if (step != NULL)
            step(session, arg);
    }
    return count;
}

/* NULL, or what is wrong with the address. It is written as Redis has it from here on. */
static const char *read_target(struct control *control, struct target *target)
{
    *target = (struct target){.control = control};
    if (control->by != CONTROL_BY_ADDRESS)
        return NULL;
    if (address_block_parse(control->whom, &target->block) != 0 ||
        !address_block_has_name(&target->block))
        return "\"address\" is an address, or a block from /8 to /32 of IPv4, or from /16 to /64 "
               "of "
               "IPv6.";
    address_block_format(&target->block, control->whom);
    return NULL;
}

/* --- What is done --- */

struct kick {
    const struct moderation *moderation;
    struct message_error error;
    const char *reason; /* "" for none */
    const char *failed;
};

static void ban(struct kick *kick, const char *name)
{
    const struct rule_record rule = {.kind = RULE_BAN,
                                     .subject = name,
                                     .until_ms = kick->error.until_ms,
                                     .reason = kick->reason};
    const char *failed = set_rule(kick->moderation, "", &rule);
    if (failed != NULL)
        kick->failed = failed;
}

static void kick_one(struct session *session, void *arg)
{
    struct kick *kick = arg;
    struct bans *bans = session->all->bans;
    struct address address = session->address;
    if (kick->error.until_ms > 0 && bans_can_be(bans, &address)) {
        char name[ADDRESS_TEXT_BYTES];
        address_format(&address, name);
        ban(kick, name);
        bans_renew(bans, &address);
    }
    session_put_out(session, &kick->error);
}

/* With an end it is a ban, too. */
static void kick(const struct moderation *moderation, const struct target *target,
                 struct control_done *done)
{
    const struct control *control = target->control;
    struct kick kick = {.moderation = moderation, .reason = control->reason};
    bool bans = done->until_ms > 0;
    const char *otherwise = bans ? "You cannot come in here." : "You were put out by an operator.";
    kick.error.code = bans ? "banned" : NULL;
    kick.error.message = control->reason[0] != '\0' ? control->reason : otherwise;
    kick.error.until_ms = done->until_ms;
    if (bans && control->by == CONTROL_BY_ADDRESS)
        ban(&kick, control->whom);
    done->members = each_meant(moderation, target, kick_one, &kick);
    done->error = kick.failed;
}

static void set_general(const struct moderation *moderation, enum rule_kind kind,
                        const struct target *all, struct control_done *done)
{
    const struct rule_record rule = {.kind = kind,
                                     .subject = "",
                                     .every_s = all->control->every_s,
                                     .until_ms = done->until_ms,
                                     .reason = all->control->reason};
    done->error = set_rule(moderation, all->control->room, &rule);
    done->members = each_meant(moderation, all, NULL, NULL);
}

static void set_muted(const struct moderation *moderation, const struct target *target,
                      struct control_done *done)
{
    const struct control *control = target->control;
    char subject[NAME_BYTES + 16];
    const struct rule_record rule = {.kind = RULE_MUTED,
                                     .subject = subject,
                                     .until_ms = done->until_ms,
                                     .reason = control->reason};
    snprintf(subject, sizeof subject, "%s:%s", control_by_word(control->by), control->whom);
    done->error = set_rule(moderation, control->room, &rule);
    done->members = each_meant(moderation, target, NULL, NULL);
}

static void clear(const struct moderation *moderation, const struct target *all,
                  struct control_done *done)
{
    const struct control *control = all->control;
    const struct room_entry *entry = find_open(moderation, control->room);
    commands_clear(moderation->commands, control->room, entry == NULL ? 0 : room_seq(entry->room));
    if (entry != NULL)
        room_clear(entry->room, control->reason[0] != '\0'
                                    ? control->reason
                                    : "An operator has cleared this conversation.");
    done->members = each_meant(moderation, all, NULL, NULL);
}

/* When what the command orders ends; 0: it orders nothing that lasts. */
static int64_t find_end_ms(const struct moderation *moderation, const struct control *control)
{
    bool lasts = control->what == CONTROL_MUTE || control->what == CONTROL_LOCK ||
                 (control->what == CONTROL_SLOW && control->every_s > 0) ||
                 (control->what == CONTROL_KICK && control->for_s > 0);
    return lasts ? find_now_ms(moderation) + (int64_t)control->for_s * 1000 : 0;
}

static void carry_out(const struct moderation *moderation, struct control *control,
                      struct control_done *done)
{
    struct target target;
    done->error = read_target(control, &target);
    if (done->error != NULL)
        return;
    done->until_ms = find_end_ms(moderation, control);
    switch (control->what) {
    case CONTROL_KICK:
        kick(moderation, &target, done);
        break;
    case CONTROL_MUTE:
    case CONTROL_UNMUTE:
        set_muted(moderation, &target, done);
        break;
    case CONTROL_SLOW:
        set_general(moderation, RULE_SLOW, &target, done);
        break;
    case CONTROL_LOCK:
    case CONTROL_UNLOCK:
        set_general(moderation, RULE_LOCKED, &target, done);
        break;
    case CONTROL_CLEAR:
        clear(moderation, &target, done);
        break;
    }
}

/* --- The channel --- */

/* Where the log may not have addresses, it has none of these. */
static void log_done(const struct moderation *moderation, const struct control_done *done)
{
    const struct sessions *all = moderation->all;
    const struct control *control = done->control;
    char members[24], until[24];
    const char *whom = control->whom;
    if (control->by == CONTROL_BY_ADDRESS && all->options.config->log_address != ADDRESS_FULL)
        whom = "an address";
    snprintf(members, sizeof members, "%zu", done->members);
    snprintf(until, sizeof until, "%" PRId64, done->until_ms);
    log_write(all->options.log,
              &(struct log_line){
                  .kind = "moderation",
                  .room = control->room,
                  .message = control->reason[0] != '\0' ? control->reason : NULL,
                  .err = done->error,
                  .more = (const char *const[]){"do", control_word(control->what), "members",
                                                members, "until", until,
                                                control->by == CONTROL_BY_NOTHING ? NULL : "whom",
                                                whom, NULL},
              });
}

static void answer(const struct moderation *moderation, const struct control_done *done)
{
    struct text json = TEXT_EMPTY;
    control_add_done(&json, done);
    redis_send_strings(moderation->commands->redis, NULL, NULL, "PUBLISH", moderation->done.text,
                       json.data, NULL);
    text_done(&json);
}

static void on_published(void *arg, const char *data, size_t len)
{
    const struct moderation *moderation = arg;
    struct sessions *all = moderation->all;
    struct control control;
    struct control_done done = {.gateway = all->options.config->gateway_id};
    if (control_parse(data, len, &control, &done.error) == 0) {
        done.control = &control;
        carry_out(moderation, &control, &done);
        log_done(moderation, &done);
        if (done.error == NULL)
            metrics_count_word(&all->options.metrics->moderation, control_word(control.what));
    }
    answer(moderation, &done);
}

/* Commands may have passed unheard: then Redis has what they ordered. If it is another one by now,
 * or the same without its memory, it gets what is known here. */
static void make_up(struct moderation *moderation)
{
    struct sessions *all = moderation->all;
    if (!moderation->missed || !moderation->listens || !broker_is_up(all->options.broker))
        return;
    const char *run_id = redis_server(moderation->commands->redis)->run_id;
    bool same = run_id[0] != '\0' && strcmp(run_id, moderation->run_id) == 0;
    struct room_entry *entry;
    snprintf(moderation->run_id, sizeof moderation->run_id, "%s", run_id);
    moderation->missed = false;
    if (!same)
        moderation_write_again(all);
    for (size_t at = 0; (entry = session_next_entry(all, &at)) != NULL;)
        if (room_is_open(entry->room))
            ask_rules(entry, same);
}

static void on_subscribed(void *arg)
{
    struct moderation *moderation = arg;
    moderation->listens = true;
    make_up(moderation);
}

static void on_unsubscribed(void *arg)
{
    struct moderation *moderation = arg;
    moderation->listens = false;
    moderation->missed = true;
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
    rules_tick(all->rules, find_now_ms(moderation));
    make_up(moderation);
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
                           find_now_ms(all->moderation), &error))
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
                          find_now_ms(all->moderation), &error))
        return false;
    refuse(session, &error, nonce);
    return true;
}

/* --- Life --- */

struct moderation *moderation_new(struct sessions *all, void (*on_known)(void *entry))
{
    static const struct pubsub_handler handler = {on_subscribed, on_unsubscribed, on_published};
    struct moderation *moderation = memory_new(sizeof *moderation);
    moderation->all = all;
    moderation->commands = broker_commands(all->options.broker);
    moderation->on_known = on_known;
    moderation->control = key_control_channel(all->options.config);
    moderation->done = key_part(moderation->control.text, "done");
    moderation->missed = true;
    pubsub_add(broker_pubsub(all->options.broker), moderation->control.text, &handler, moderation);
    return moderation;
}

void moderation_free(struct moderation *moderation)
{
    if (moderation == NULL)
        return;
    pubsub_remove(broker_pubsub(moderation->all->options.broker), moderation->control.text);
    free(moderation);
}
