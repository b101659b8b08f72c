#include "broker/commands.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/remote_clock.h"
#include "broker/script_settings.h"
#include "protocol/lineage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    JOINS_LIKE_A_CALL = 4,  /* so many more in a call of join.lua take as long as a call, */
    LEAVES_LIKE_A_CALL = 8, /* and of leave.lua */
    REINSTATE_PATIENCE_MS = 60000,
};

struct redis *commands_redis(const struct commands *commands)
{
    return commands->redis;
}

int64_t commands_now_ms(const struct commands *commands)
{
    int64_t there_ms = remote_clock_guess(commands->redis_clock, clock_monotonic_ms());
    return there_ms != 0 ? there_ms : clock_wall_ms();
}

int64_t commands_end_ms(const struct commands *commands, int64_t left_ms)
{
    return number_is_good(left_ms) ? commands_now_ms(commands) + left_ms : 0;
}

int commands_say(struct topic *topic, const struct publish_batch_say *say, redis_done done,
                 void *arg)
{
    const struct commands *commands = topic->commands;
    if (!redis_is_ready(commands->redis))
        return -1;
    publish_batch_add(commands->publish_batch, topic, say, done, arg);
    return 0;
}

int commands_publish(struct topic *topic, const char *json)
{
    publish_batch_flush(topic->commands->publish_batch);
    const char *publish = script_settings_sharded(topic->config) ? "SPUBLISH" : "PUBLISH";
    return redis_send_strings(topic->commands->redis, NULL, NULL, publish, topic->channel.text,
                              json, NULL);
}

static unsigned count_permits(size_t count, size_t like_a_call)
{
    return 1 + (unsigned)(count / like_a_call);
}

/* Until when a join that is sent now is of use to anybody, by Redis' clock; 0: not known. A member
 * who is to be reinstated waits in the limiter first, and is there whether Redis is quick or not.
 */
static int64_t find_end_ms(const struct commands *commands, const struct commands_join *join)
{
    int64_t patience_ms = join->reinstate ? REINSTATE_PATIENCE_MS : REDIS_DEADLINE_MS;
    return remote_clock_at(commands->redis_clock, clock_monotonic_ms() + patience_ms);
}

static void add_join(struct script_call *call, const struct commands *commands,
                     const struct commands_join *join)
{
    script_add(call, join->member.name);
    script_add(call, join->member.address);
    script_add(call, join->member.public_address);
    script_add(call, join->member.mark);
    script_add(call, join->member.session);
    script_add(call, join->new_token.id);
    script_add(call, join->new_token.hash);
    script_add(call, join->resume_token.id);
    script_add(call, join->resume_token.hash);
    script_add(call, join->number_base);
    script_add_number(call, join->asked_ms == 0
                                ? 0
                                : (uint64_t)remote_clock_at(commands->redis_clock, join->asked_ms));
    script_add(call, join->reinstate ? "1" : join->known_only ? "2" : "0");
    script_add_number(call, join->floor);
    script_add(call, join->floor_epoch == NULL ? "" : join->floor_epoch);
}

/* A call about the room's members. */
static void begin_member_call(struct script_call *call, const char *script,
                              const struct topic *topic)
{
    topic_begin_call(topic, call, script);
    topic_add_key(topic, call, "members", NULL);
}

int commands_join(struct topic *topic, const struct commands_join *joins, size_t count,
                  redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    const struct config *config = commands->config;
    struct script_call call;
    assert(count > 0 && count <= COMMANDS_JOIN_MOST);
    begin_member_call(&call, "join", topic);
    for (size_t i = 0; i < count; i++) {
        topic_add_key(topic, &call, "member", joins[i].member.folded);
        topic_add_key(topic, &call, "left", joins[i].resume_token.id);
    }
    script_add(&call, config->gateway_id);
    script_add_number(&call, script_settings_member_ttl(commands->config));
    script_add_number(&call, config->max_members);
    topic_add_base(topic, &call, "member");
    script_add(&call, key_gateway_channel(config, "").text);
    script_add_number(&call, (uint64_t)find_end_ms(commands, &joins[0]));
    for (size_t i = 0; i < count; i++)
        add_join(&call, commands, &joins[i]);
    return limiter_run(commands->limiter, &call, count_permits(count, JOINS_LIKE_A_CALL), done,
                       arg);
}

static enum commands_join_status find_status(const char *word)
{
    static const char *const words[] = {
        [COMMANDS_JOINED] = "joined", [COMMANDS_RESUMED] = "resumed",   [COMMANDS_TAKEN] = "taken",
        [COMMANDS_FULL] = "full",     [COMMANDS_MOVED] = "moved",       [COMMANDS_LATE] = "late",
        [COMMANDS_LOCKED] = "locked", [COMMANDS_STRANGER] = "stranger",
    };
    for (size_t i = COMMANDS_JOINED; i <= COMMANDS_STRANGER; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum commands_join_status)i;
    return COMMANDS_FAILED;
}

static bool read_joined(const struct redis_reply *answer, struct commands_joined *out)
{
    const char *id = redis_reply_string(redis_reply_at(answer, 1), NULL);
    const char *epoch = redis_reply_string(redis_reply_at(answer, 4), NULL);
    if (id == NULL || strlen(id) >= sizeof out->id || epoch == NULL || !lineage_is_epoch(epoch))
        return false;
    memcpy(out->id, id, strlen(id) + 1);
    out->seq = redis_reply_number(redis_reply_at(answer, 2));
    out->floor = redis_reply_number(redis_reply_at(answer, 3));
    snprintf(out->epoch, sizeof out->epoch, "%s", epoch);
    return true;
}

enum commands_join_status commands_read_joined(const struct redis_reply *reply, size_t index,
                                               struct commands_joined *out)
{
    const struct redis_reply *answer = redis_reply_at(reply, index);
    const char *word = redis_reply_string(redis_reply_at(answer, 0), NULL);
    enum commands_join_status status = find_status(word == NULL ? "" : word);
    if (status == COMMANDS_TAKEN)
        out->number = (unsigned)redis_reply_number(redis_reply_at(answer, 1));
    if (status == COMMANDS_LOCKED) {
        uint64_t until_ms = redis_reply_number(redis_reply_at(answer, 1));
        out->until_ms = (int64_t)until_ms;
        out->reason = redis_reply_text(redis_reply_at(answer, 2), COMMANDS_REASON_BYTES);
    }
    bool in = status == COMMANDS_JOINED || status == COMMANDS_RESUMED;
    return in && !read_joined(answer, out) ? COMMANDS_FAILED : status;
}

int commands_leave(struct topic *topic, const struct commands_leave *leaves, size_t count,
                   redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    assert(count > 0 && count <= COMMANDS_LEAVE_MOST);
    begin_member_call(&call, "leave", topic);
    for (size_t i = 0; i < count; i++)
        topic_add_key(topic, &call, "member", leaves[i].member.folded);
    script_add(&call, commands->config->gateway_id);
    topic_add_base(topic, &call, "left");
    topic_add_base(topic, &call, "member");
    for (size_t i = 0; i < count; i++) {
        script_add(&call, leaves[i].member.session);
        script_add(&call, leaves[i].on_purpose ? "1" : "0");
        script_add(&call, leaves[i].except_id);
    }
    publish_batch_flush(commands->publish_batch); /* what was said before comes before */
    return limiter_run(commands->limiter, &call, count_permits(count, LEAVES_LIKE_A_CALL), done,
                       arg);
}

int commands_refresh(struct topic *topic, const struct commands_member *members, size_t count,
                     redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    begin_member_call(&call, "refresh", topic);
    for (size_t i = 0; i < count; i++)
        topic_add_key(topic, &call, "member", members[i].folded);
    script_add_number(&call, script_settings_member_ttl(commands->config));
    topic_add_base(topic, &call, "member");
    topic_add_base(topic, &call, "left");
    for (size_t i = 0; i < count; i++)
        script_add(&call, members[i].session);
    return limiter_run(commands->limiter, &call, 1, done, arg);
}

int commands_ours(struct topic *topic, const char *cursor, size_t most, redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    begin_member_call(&call, "ours", topic);
    script_add(&call, commands->config->gateway_id);
    topic_add_base(topic, &call, "member");
    script_add(&call, cursor);
    script_add_number(&call, most);
    return limiter_run(commands->limiter, &call, 1, done, arg);
}

void commands_trim(struct topic *topic, const char *epoch, uint64_t seq)
{
    const struct commands *commands = topic->commands;
    struct script_call call;
    topic_begin_call(topic, &call, "trim");
    script_add_number(&call, seq);
    script_add(&call, epoch);
    script_run(commands->redis, &call, NULL, NULL);
}

bool commands_is_other_epoch(const struct redis_reply *reply)
{
    return redis_reply_has_error(reply, "OTHEREPOCH");
}

/* An error of Redis says that it did not carry it out; without any reply nobody knows, unless it
 * was never sent. */
bool commands_not_accepted(const struct commands *commands, const struct redis_reply *reply)
{
    return reply != NULL || redis_not_carried_out(commands->redis);
}
