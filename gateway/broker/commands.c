#include "broker/commands.h"

#include "base/clock.h"
#include "base/remote_clock.h"
#include "broker/topic_call.h"
#include "protocol/lineage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    JOINS_LIKE_A_CALL = 4,  /* so many more in a call of join.lua take as long as a call, */
    LEAVES_LIKE_A_CALL = 8, /* and of leave.lua */
    REINSTATE_PATIENCE_MS = 60000,
};

int commands_say(struct topic *topic, const struct publish_batch_say *say, redis_done done,
                 void *arg)
{
    const struct commands *commands = topic->commands;
    if (!redis_is_ready(commands->redis))
        return -1;
    publish_batch_add(commands->publish_batch, topic, say, done, arg);
    return 0;
}

int commands_publish(struct topic *topic, const char *json, size_t len)
{
    const struct commands *commands = topic->commands;
    struct redis_words words = {0};
    publish_batch_flush(commands->publish_batch);
    redis_words_add_string(&words, "PUBLISH");
    redis_words_add_string(&words, topic->channel.text);
    redis_words_add(&words, json, len);
    int result = redis_send(commands->redis, &words, NULL, NULL);
    redis_words_done(&words);
    return result;
}

/* As how many calls it counts in the limiter. */
static unsigned weigh(size_t count, size_t like_a_call)
{
    return 1 + (unsigned)(count / like_a_call);
}

/* Until when a join that is sent now is of use to anybody, by Redis' clock; 0: not known. A member
 * who is to be reinstated waits in line first, and is there whether Redis is quick or not. */
static int64_t find_end_ms(const struct commands *commands, const struct commands_join *join)
{
    int64_t patience_ms = join->reinstate ? REINSTATE_PATIENCE_MS : REDIS_DEADLINE_MS;
    return remote_clock_at(commands->redis_clock, clock_monotonic_ms() + patience_ms);
}

/* By Redis' clock; 0: not known. */
static int64_t find_asked_ms(const struct commands *commands, const struct commands_join *join)
{
    return join->asked_ms == 0 ? 0 : remote_clock_at(commands->redis_clock, join->asked_ms);
}

static void add_join(struct script_call *call, const struct commands *commands,
                     const struct commands_join *join)
{
    script_add(call, join->member.name);
    script_add(call, join->member.address);
    script_add(call, join->member.shown);
    script_add(call, join->member.session);
    script_add(call, join->fresh.id);
    script_add(call, join->fresh.hash);
    script_add(call, join->shown.id);
    script_add(call, join->shown.hash);
    script_add(call, join->number_base);
    script_add_number(call, (uint64_t)find_asked_ms(commands, join));
    script_add(call, join->reinstate ? "1" : "0");
    script_add_number(call, join->floor);
    script_add(call, join->floor_epoch == NULL ? "" : join->floor_epoch);
}

/* A call about the room's members. */
static void begin(struct script_call *call, const char *script, const struct topic *topic)
{
    topic_call_begin(call, script, topic, &topic->commands->settings);
    topic_call_add_key(call, topic, "members", NULL);
}

int commands_join(struct topic *topic, const struct commands_join *joins, size_t count,
                  redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    const struct config *config = commands->config;
    struct script_call call;
    assert(count > 0 && count <= COMMANDS_JOIN_MOST);
    begin(&call, "join", topic);
    for (size_t i = 0; i < count; i++) {
        topic_call_add_key(&call, topic, "member", joins[i].member.folded);
        topic_call_add_key(&call, topic, "left", joins[i].shown.id);
    }
    script_add(&call, config->gateway_id);
    script_add(&call, commands->settings.member_ttl);
    script_add(&call, commands->settings.most_members);
    topic_call_add_base(&call, topic, "member");
    script_add(&call, key_gateway_channel(config, "").text);
    script_add_number(&call, (uint64_t)find_end_ms(commands, &joins[0]));
    for (size_t i = 0; i < count; i++)
        add_join(&call, commands, &joins[i]);
    return limiter_run(commands->limiter, &call, weigh(count, JOINS_LIKE_A_CALL), done, arg);
}

static enum commands_join_status read_in(const struct redis_reply *answer,
                                         struct commands_joined *out)
{
    const char *id = redis_reply_string(redis_reply_at(answer, 1), NULL);
    const char *epoch = redis_reply_string(redis_reply_at(answer, 4), NULL);
    if (id == NULL || strlen(id) >= sizeof out->id || epoch == NULL || !lineage_is_epoch(epoch))
        return COMMANDS_FAILED;
    memcpy(out->id, id, strlen(id) + 1);
    out->seq = redis_reply_number(redis_reply_at(answer, 2));
    out->floor = redis_reply_number(redis_reply_at(answer, 3));
    snprintf(out->epoch, sizeof out->epoch, "%s", epoch);
    return COMMANDS_JOINED;
}

enum commands_join_status commands_read_joined(const struct redis_reply *reply, size_t index,
                                               struct commands_joined *out)
{
    const struct redis_reply *answer = redis_reply_at(reply, index);
    const char *status = redis_reply_string(redis_reply_at(answer, 0), NULL);
    if (status == NULL)
        return COMMANDS_FAILED;
    if (strcmp(status, "full") == 0)
        return COMMANDS_FULL;
    if (strcmp(status, "moved") == 0)
        return COMMANDS_MOVED;
    if (strcmp(status, "late") == 0)
        return COMMANDS_LATE;
    if (strcmp(status, "taken") == 0) {
        out->number = (unsigned)redis_reply_number(redis_reply_at(answer, 1));
        return COMMANDS_TAKEN;
    }
    enum commands_join_status in = read_in(answer, out);
    return in == COMMANDS_JOINED && strcmp(status, "resumed") == 0 ? COMMANDS_RESUMED : in;
}

int commands_leave(struct topic *topic, const struct commands_leave *leaves, size_t count,
                   redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    assert(count > 0 && count <= COMMANDS_LEAVE_MOST);
    begin(&call, "leave", topic);
    for (size_t i = 0; i < count; i++)
        topic_call_add_key(&call, topic, "member", leaves[i].member.folded);
    script_add(&call, commands->config->gateway_id);
    topic_call_add_base(&call, topic, "left");
    topic_call_add_base(&call, topic, "member");
    for (size_t i = 0; i < count; i++) {
        script_add(&call, leaves[i].member.session);
        script_add(&call, leaves[i].said ? "1" : "0");
        script_add(&call, leaves[i].spared);
    }
    publish_batch_flush(commands->publish_batch); /* what was said before is heard before */
    return limiter_run(commands->limiter, &call, weigh(count, LEAVES_LIKE_A_CALL), done, arg);
}

int commands_refresh(struct topic *topic, const struct commands_member *members, size_t count,
                     redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    begin(&call, "refresh", topic);
    for (size_t i = 0; i < count; i++)
        topic_call_add_key(&call, topic, "member", members[i].folded);
    script_add(&call, commands->settings.member_ttl);
    topic_call_add_base(&call, topic, "member");
    topic_call_add_base(&call, topic, "left");
    for (size_t i = 0; i < count; i++)
        script_add(&call, members[i].session);
    return limiter_run(commands->limiter, &call, 1, done, arg);
}

int commands_ours(struct topic *topic, const char *cursor, size_t most, redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    begin(&call, "ours", topic);
    script_add(&call, commands->config->gateway_id);
    topic_call_add_base(&call, topic, "member");
    script_add(&call, cursor);
    script_add_number(&call, most);
    return limiter_run(commands->limiter, &call, 1, done, arg);
}

void commands_trim(struct topic *topic, const char *epoch, uint64_t seq)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    topic_call_begin(&call, "trim", topic, &commands->settings);
    script_add_number(&call, seq);
    script_add(&call, epoch);
    script_run(commands->redis, &call, NULL, NULL);
}

bool commands_is_other_epoch(const struct redis_reply *reply)
{
    return redis_reply_has_error(reply, "OTHEREPOCH");
}
