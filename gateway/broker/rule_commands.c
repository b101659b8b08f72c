#include "broker/rule_commands.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const parts[] = {
    [RULE_LOCKED] = "locked", [RULE_SLOW] = "slow", [RULE_MUTED] = "muted"};

enum { HEAD_FIELDS = 4 /* of rules.lua's answer */, UNLIMITED_MS = 1 << 30 /* twelve days */ };

/* --- Writing --- */

static int write_ban(const struct commands *commands, const struct rule_record *rule,
                     redis_done done, void *arg)
{
    char left[TEXT_NUMBER_BYTES];
    int64_t left_ms = rule->until_ms - commands_now_ms(commands);
    struct key key = key_item(commands->config->redis_prefix, "ban", rule->subject);
    if (left_ms <= 0)
        return -1;
    text_number((uint64_t)left_ms, left);
    return redis_send_strings(commands->redis, done, arg, "SET", key.text, rule->reason, "PX", left,
                              NULL);
}

static void add_value(struct script_call *call, const struct rule_record *rule)
{
    struct text value = TEXT_EMPTY;
    if (rule->kind == RULE_SLOW)
        text_print(&value, "%u ", rule->every_s);
    else if (rule->kind == RULE_MUTED)
        text_print(&value, "%" PRId64 " ", rule->until_ms);
    text_add_string(&value, rule->reason);
    script_add(call, value.data == NULL ? "" : value.data);
    text_done(&value);
}

int commands_write_rule(const struct commands *commands, const char *room,
                        const struct rule_record *rule, redis_done done, void *arg)
{
    struct script_call call;
    if (rule->kind == RULE_BAN)
        return write_ban(commands, rule, done, arg);
    const struct topic topic = topic_of(commands, commands->config, room);
    topic_begin_call(&topic, &call, "rule");
    topic_add_key(&topic, &call, parts[rule->kind], NULL);
    script_add(&call, rule->subject);
    add_value(&call, rule);
    script_add_number(&call, (uint64_t)rule->until_ms);
    return script_run(commands->redis, &call, done, arg);
}

void commands_clear(const struct commands *commands, const char *room, uint64_t upto)
{
    const struct topic topic = topic_of(commands, commands->config, room);
    struct script_call call;
    topic_begin_call(&topic, &call, "clear");
    topic_add_key(&topic, &call, "members", NULL);
    script_add_number(&call, upto);
    script_run(commands->redis, &call, NULL, NULL);
}

/* --- Reading --- */

int commands_read_rules(const struct commands *commands, const char *room, redis_done done,
                        void *arg)
{
    const struct topic topic = topic_of(commands, commands->config, room);
    struct script_call call;
    topic_begin_call(&topic, &call, "rules");
    topic_add_key(&topic, &call, "locked", NULL);
    topic_add_key(&topic, &call, "slow", NULL);
    topic_add_key(&topic, &call, "muted", NULL);
    return limiter_run(commands->list_limiter, &call, 1, done, arg);
}

static const char *read_text(const struct redis_reply *reply, size_t at)
{
    return redis_reply_text(redis_reply_at(reply, at), COMMANDS_REASON_BYTES);
}

/* The number that the value begins with, and what is behind it. */
static uint64_t read_number(const char **value)
{
    char *end;
    unsigned long long number = strtoull(*value, &end, 10);
    *value = end + (*end == ' ');
    return number < (uint64_t)NUMBER_END ? number : 0;
}

/* A lock or slow mode. False: there is none. */
static bool read_string_rule(const struct commands *commands, const struct redis_reply *reply,
                             size_t at, struct rule_record *out)
{
    int64_t left_ms = redis_reply_integer(redis_reply_at(reply, at));
    *out = (struct rule_record){.kind = at == 0 ? RULE_LOCKED : RULE_SLOW,
                                .subject = "",
                                .reason = read_text(reply, at + 1)};
    if (left_ms == -2)
        return false;
    out->until_ms = commands_end_ms(commands, left_ms);
    if (out->until_ms == 0)
        out->until_ms = commands_now_ms(commands) + UNLIMITED_MS;
    if (out->kind == RULE_SLOW)
        out->every_s = (unsigned)read_number(&out->reason);
    return out->kind == RULE_LOCKED || out->every_s > 0;
}

static bool read_muted(const struct redis_reply *reply, size_t at, struct rule_record *out)
{
    *out = (struct rule_record){
        .kind = RULE_MUTED, .subject = read_text(reply, at), .reason = read_text(reply, at + 1)};
    out->until_ms = (int64_t)read_number(&out->reason);
    return out->subject[0] != '\0' && out->until_ms > 0;
}

bool commands_next_rule(const struct commands *commands, const struct redis_reply *reply,
                        size_t *at, struct rule_record *out)
{
    while (*at + 1 < redis_reply_count(reply)) {
        size_t here = *at;
        *at += 2;
        if (here < HEAD_FIELDS ? read_string_rule(commands, reply, here, out)
                               : read_muted(reply, here, out))
            return true;
    }
    return false;
}
