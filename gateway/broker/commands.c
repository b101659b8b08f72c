#include "broker/commands.h"

#include "base/clock.h"
#include "base/remote_clock.h"
#include "base/text.h"
#include "broker/topic_call.h"
#include "protocol/lineage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    JOINS_LIKE_A_CALL = 4,  /* so many more in a call of join.lua take as long as a call, */
    LEAVES_LIKE_A_CALL = 8, /* and of leave.lua */
    PUT_BACK_PATIENCE_MS = 60000,
};

static const char *print_number(char out[TEXT_NUMBER_BYTES], uint64_t number)
{
    text_number(number, out);
    return out;
}

int commands_say(struct topic *topic, const struct publish_batch_say *say, redis_done done,
                 void *arg)
{
    const struct commands *commands = topic->commands;
    if (!redis_is_ready(commands->redis))
        return -1;
    outbox_add(commands->publish_batch, topic, say, done, arg);
    return 0;
}

int commands_publish(struct topic *topic, const char *json, size_t len)
{
    const struct commands *commands = topic->commands;
    struct redis_words words;
    words.count = 0;
    outbox_flush(commands->publish_batch);
    redis_words_add_string(&words, "PUBLISH");
    redis_words_add_string(&words, topic->channel.text);
    redis_words_add(&words, json, len);
    return redis_send(commands->redis, &words, NULL, NULL);
}

/* As how many calls it counts in the lane. */
static unsigned weigh(size_t count, size_t like_a_call)
{
    return 1 + (unsigned)(count / like_a_call);
}

/* Until when a join that is sent now is of use to anybody, by Redis' clock; 0: not known. A member
 * who is to be put back waits in line first, and is there whether Redis is quick or not. */
static int64_t find_end_ms(const struct commands *commands, const struct commands_join *join)
{
    int64_t patience_ms = join->restore ? PUT_BACK_PATIENCE_MS : REDIS_DEADLINE_MS;
    return remote_clock_at(commands->redis_clock, clock_monotonic_ms() + patience_ms);
}

/* By Redis' clock; 0: not known. */
static int64_t find_asked_ms(const struct commands *commands, const struct commands_join *join)
{
    return join->asked_ms == 0 ? 0 : remote_clock_at(commands->redis_clock, join->asked_ms);
}

/* The numbers of a join, as text. */
struct join_numbers {
    char asked[TEXT_NUMBER_BYTES], floor[TEXT_NUMBER_BYTES];
};

static void add_join(struct topic_call *call, const struct commands *commands,
                     const struct commands_join *join, struct join_numbers *numbers)
{
    topic_call_add(call, join->member.name);
    topic_call_add(call, join->member.address);
    topic_call_add(call, join->member.shown);
    topic_call_add(call, join->member.session);
    topic_call_add(call, join->fresh.id);
    topic_call_add(call, join->fresh.hash);
    topic_call_add(call, join->shown.id);
    topic_call_add(call, join->shown.hash);
    topic_call_add(call, join->number_base);
    topic_call_add(call, print_number(numbers->asked, (uint64_t)find_asked_ms(commands, join)));
    topic_call_add(call, join->restore ? "1" : "0");
    topic_call_add(call, print_number(numbers->floor, join->floor));
    topic_call_add(call, join->floor_epoch == NULL ? "" : join->floor_epoch);
}

int commands_join(struct topic *topic, const struct commands_join *joins, size_t count,
                  redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct key keys[COMMANDS_JOIN_MOST], left_keys[COMMANDS_JOIN_MOST];
    struct join_numbers numbers[COMMANDS_JOIN_MOST];
    char end[TEXT_NUMBER_BYTES];
    const struct config *config = commands->config;
    struct topic_call call;
    struct key set = key_part(topic->base.text, "members");
    struct key member_base = key_item(topic->base.text, "member", "");
    struct key gateway_base = key_gateway_channel(config, "");
    assert(count > 0 && count <= COMMANDS_JOIN_MOST);
    topic_call_begin(&call, "join", topic, &commands->settings);
    topic_call_add_key(&call, set.text);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_item(topic->base.text, "member", joins[i].member.folded);
        left_keys[i] = key_item(topic->base.text, "left", joins[i].shown.id);
        topic_call_add_key(&call, keys[i].text);
        topic_call_add_key(&call, left_keys[i].text);
    }
    topic_call_end_keys(&call);
    topic_call_add(&call, config->gateway_id);
    topic_call_add(&call, commands->settings.member_ttl);
    topic_call_add(&call, commands->settings.most_members);
    topic_call_add(&call, member_base.text);
    topic_call_add(&call, gateway_base.text);
    topic_call_add(&call, print_number(end, (uint64_t)find_end_ms(commands, &joins[0])));
    for (size_t i = 0; i < count; i++)
        add_join(&call, commands, &joins[i], &numbers[i]);
    return lane_run(commands->limiter, &call.call, weigh(count, JOINS_LIKE_A_CALL), done, arg);
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
    struct key keys[COMMANDS_LEAVE_MOST];
    struct topic_call call;
    struct key set = key_part(topic->base.text, "members");
    struct key left_base = key_item(topic->base.text, "left", "");
    struct key member_base = key_item(topic->base.text, "member", "");
    assert(count > 0 && count <= COMMANDS_LEAVE_MOST);
    topic_call_begin(&call, "leave", topic, &commands->settings);
    topic_call_add_key(&call, set.text);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_item(topic->base.text, "member", leaves[i].member.folded);
        topic_call_add_key(&call, keys[i].text);
    }
    topic_call_end_keys(&call);
    topic_call_add(&call, commands->config->gateway_id);
    topic_call_add(&call, left_base.text);
    topic_call_add(&call, member_base.text);
    for (size_t i = 0; i < count; i++) {
        topic_call_add(&call, leaves[i].member.session);
        topic_call_add(&call, leaves[i].said ? "1" : "0");
        topic_call_add(&call, leaves[i].spared);
    }
    outbox_flush(commands->publish_batch); /* what was said before is heard before */
    return lane_run(commands->limiter, &call.call, weigh(count, LEAVES_LIKE_A_CALL), done, arg);
}

int commands_refresh(struct topic *topic, const struct commands_member *members, size_t count,
                     redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct key keys[COMMANDS_REFRESH_MOST];
    struct topic_call call;
    struct key set = key_part(topic->base.text, "members");
    struct key member_base = key_item(topic->base.text, "member", "");
    struct key left_base = key_item(topic->base.text, "left", "");
    topic_call_begin(&call, "refresh", topic, &commands->settings);
    topic_call_add_key(&call, set.text);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_item(topic->base.text, "member", members[i].folded);
        topic_call_add_key(&call, keys[i].text);
    }
    topic_call_end_keys(&call);
    topic_call_add(&call, commands->settings.member_ttl);
    topic_call_add(&call, member_base.text);
    topic_call_add(&call, left_base.text);
    for (size_t i = 0; i < count; i++)
        topic_call_add(&call, members[i].session);
    return lane_run(commands->limiter, &call.call, 1, done, arg);
}

int commands_ours(struct topic *topic, const char *cursor, size_t most, redis_done done, void *arg)
{
    const struct commands *commands = topic->commands;
    struct topic_call call;
    struct key set = key_part(topic->base.text, "members");
    struct key member_base = key_item(topic->base.text, "member", "");
    char number[TEXT_NUMBER_BYTES];
    topic_call_begin(&call, "ours", topic, &commands->settings);
    topic_call_add_key(&call, set.text);
    topic_call_end_keys(&call);
    topic_call_add(&call, commands->config->gateway_id);
    topic_call_add(&call, member_base.text);
    topic_call_add(&call, cursor);
    topic_call_add(&call, print_number(number, most));
    return lane_run(commands->limiter, &call.call, 1, done, arg);
}

void commands_trim(struct topic *topic, const char *epoch, uint64_t seq)
{
    const struct commands *commands = topic->commands;
    struct topic_call call;
    char number[TEXT_NUMBER_BYTES];
    topic_call_begin(&call, "trim", topic, &commands->settings);
    topic_call_end_keys(&call);
    topic_call_add(&call, print_number(number, seq));
    topic_call_add(&call, epoch);
    script_run(commands->redis, &call.call, NULL, NULL);
}

bool commands_is_other_epoch(const struct redis_reply *reply)
{
    static const char code[] = "OTHEREPOCH";
    return redis_reply_is_error(reply) && reply != NULL &&
           strncmp(redis_reply_string(reply, NULL), code, sizeof code - 1) == 0;
}

uint64_t commands_number(const struct redis_reply *reply)
{
    return redis_reply_is_error(reply) ? 0 : redis_reply_number(reply);
}
