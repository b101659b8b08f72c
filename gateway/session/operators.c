#include "session/operators.h"

#include "base/memory.h"
#include "config/address_names.h"
#include "protocol/control.h"
#include "session/bans.h"
#include "session/moderation.h"
#include "session/put_out.h"
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct operators {
    struct sessions *all;
    struct key control, done; /* channels */
};

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
static size_t each_meant(const struct sessions *all, const struct target *target,
                         void (*step)(struct session *session, void *arg), void *arg)
{
    const struct room_entry *entry = session_find_entry(all, target->control->room);
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
               "of IPv6.";
    address_block_format(&target->block, control->whom);
    return NULL;
}

/* --- What is done --- */

struct kick {
    struct sessions *all;
    const struct control *control;
    int64_t until_ms; /* of the ban; 0: there is none */
    const char *failed;
};

static void ban(struct kick *kick, const char *name)
{
    const struct rule_record rule = {.kind = RULE_BAN,
                                     .subject = name,
                                     .until_ms = kick->until_ms,
                                     .reason = kick->control->reason};
    const char *failed = moderation_set(kick->all, "", &rule);
    if (failed != NULL)
        kick->failed = failed;
}

/* False when it has no address of its own. That of BY_ADDRESS is banned already. */
static bool ban_one(struct kick *kick, const struct address *address)
{
    char name[ADDRESS_TEXT_BYTES];
    if (!bans_can_be(kick->all->bans, address)) {
        kick->failed = "Put out, but not banned: some have no address of their own, but that of a "
                       "proxy or a unix socket.";
        return false;
    }
    address_format(address, name);
    if (kick->control->by != CONTROL_BY_ADDRESS)
        ban(kick, name);
    bans_renew(kick->all->bans, address);
    return true;
}

static void kick_one(struct session *session, void *arg)
{
    struct kick *kick = arg;
    const struct address address = session->address;
    const char *reason = kick->control->reason;
    bool banned = kick->until_ms > 0 && ban_one(kick, &address);
    const char *otherwise =
        banned ? "You cannot come in here." : "You were put out by an operator.";
    session_put_out(session, &(struct message_error){
                                 .code = banned ? "banned" : NULL,
                                 .message = reason[0] != '\0' ? reason : otherwise,
                                 .until_ms = banned ? kick->until_ms : 0,
                             });
}

/* With an end it is a ban, too. */
static void kick(struct sessions *all, const struct target *target, struct control_done *done)
{
    struct kick kick = {.all = all, .control = target->control, .until_ms = done->until_ms};
    if (kick.until_ms > 0 && target->control->by == CONTROL_BY_ADDRESS)
        ban(&kick, target->control->whom);
    done->members = each_meant(all, target, kick_one, &kick);
    done->error = kick.failed;
}

/* Sets or lifts a rule that is about `subject`; "" for the whole room. */
static void set_rule(struct sessions *all, enum rule_kind kind, const char *subject,
                     const struct target *target, struct control_done *done)
{
    const struct control *control = target->control;
    const struct rule_record rule = {.kind = kind,
                                     .subject = subject,
                                     .every_s = control->every_s,
                                     .until_ms = done->until_ms,
                                     .reason = control->reason};
    done->error = moderation_set(all, control->room, &rule);
    done->members = each_meant(all, target, NULL, NULL);
}

static void set_muted(struct sessions *all, const struct target *target, struct control_done *done)
{
    const struct control *control = target->control;
    char subject[NAME_BYTES + 16];
    snprintf(subject, sizeof subject, "%s:%s", control_by_word(control->by), control->whom);
    set_rule(all, RULE_MUTED, subject, target, done);
}

static void clear(const struct sessions *all, const struct target *target,
                  struct control_done *done)
{
    const struct control *control = target->control;
    const struct room_entry *entry = session_find_entry(all, control->room);
    commands_clear(broker_commands(all->options.broker), control->room,
                   entry == NULL ? 0 : room_seq(entry->room));
    if (entry != NULL)
        room_clear(entry->room, control->reason[0] != '\0'
                                    ? control->reason
                                    : "An operator has cleared this conversation.");
    done->members = each_meant(all, target, NULL, NULL);
}

/* When what the command orders ends; 0: it orders nothing that lasts. */
static int64_t find_end_ms(const struct sessions *all, const struct control *control)
{
    bool lasts = control->what == CONTROL_MUTE || control->what == CONTROL_LOCK ||
                 (control->what == CONTROL_SLOW && control->every_s > 0) ||
                 (control->what == CONTROL_KICK && control->for_s > 0);
    return lasts ? session_redis_now_ms(all) + (int64_t)control->for_s * 1000 : 0;
}

static void carry_out(struct sessions *all, struct control *control, struct control_done *done)
{
    struct target target;
    done->error = read_target(control, &target);
    if (done->error != NULL)
        return;
    done->until_ms = find_end_ms(all, control);
    switch (control->what) {
    case CONTROL_KICK:
        kick(all, &target, done);
        break;
    case CONTROL_MUTE:
    case CONTROL_UNMUTE:
        set_muted(all, &target, done);
        break;
    case CONTROL_SLOW:
        set_rule(all, RULE_SLOW, "", &target, done);
        break;
    case CONTROL_LOCK:
    case CONTROL_UNLOCK:
        set_rule(all, RULE_LOCKED, "", &target, done);
        break;
    case CONTROL_CLEAR:
        clear(all, &target, done);
        break;
    }
}

/* --- The channel --- */

/* Where the log may not have addresses, it has none of these. */
static void log_done(const struct sessions *all, const struct control_done *done)
{
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

static void answer(const struct operators *operators, const struct control_done *done)
{
    struct text json = TEXT_EMPTY;
    control_add_done(&json, done);
    redis_send_strings(broker_commands(operators->all->options.broker)->redis, NULL, NULL,
                       "PUBLISH", operators->done.text, json.data, NULL);
    text_done(&json);
}

static void on_published(void *arg, const char *data, size_t len)
{
    const struct operators *operators = arg;
    struct sessions *all = operators->all;
    struct control control;
    struct control_done done = {.gateway = all->options.config->gateway_id};
    if (control_parse(data, len, &control, &done.error) == 0) {
        done.control = &control;
        carry_out(all, &control, &done);
        log_done(all, &done);
        if (done.error == NULL)
            metrics_count_word(&all->options.metrics->moderation, control_word(control.what));
    }
    answer(operators, &done);
}

static void on_subscribed(void *arg)
{
    const struct operators *operators = arg;
    moderation_on_channel(operators->all, true);
}

static void on_unsubscribed(void *arg)
{
    const struct operators *operators = arg;
    moderation_on_channel(operators->all, false);
}

/* --- Life --- */

struct operators *operators_new(struct sessions *all)
{
    static const struct pubsub_handler handler = {
        .on_subscribed = on_subscribed,
        .on_unsubscribed = on_unsubscribed,
        .on_published = on_published,
    };
    struct operators *operators = memory_new(sizeof *operators);
    operators->all = all;
    operators->control = key_control_channel(all->options.config);
    operators->done = key_part(operators->control.text, "done");
    pubsub_add(broker_pubsub(all->options.broker), operators->control.text, &handler, operators);
    return operators;
}

void operators_free(struct operators *operators)
{
    if (operators == NULL)
        return;
    pubsub_remove(broker_pubsub(operators->all->options.broker), operators->control.text);
    free(operators);
}
