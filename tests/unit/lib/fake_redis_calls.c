/* What the program asks the fake, and what it gets. */
#include "unit.h"

#include "fake_redis_internal.h"

#include "base/memory.h"
#include "redis/script.h"
#include "resp_value.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

static void free_call(struct fake_redis_call *call)
{
    list_remove(&call->in_redis);
    freeReplyObject(call->words);
    evbuffer_free(call->answer);
    free(call);
}

/* --- Answers --- */

/* As many as are due. Calls that are not kept end here. */
static void send_answers(struct peer *peer)
{
    while (!list_is_empty(&peer->unanswered)) {
        struct fake_redis_call *call =
            LIST_ITEM(peer->unanswered.next, struct fake_redis_call, in_peer);
        if (!call->answered)
            return;
        list_remove(&call->in_peer);
        call->peer = NULL;
        bufferevent_write_buffer(peer->stream, call->answer);
        fake_redis_free_call_unless_kept(call);
    }
}

static void finish_answer(struct fake_redis_call *call)
{
    assert_false(call->answered);
    call->answered = true;
    if (call->peer != NULL)
        send_answers(call->peer);
}

void fake_redis_answer_bytes(struct fake_redis_call *call, const void *data, size_t len)
{
    evbuffer_add(call->answer, data, len);
    finish_answer(call);
}

static void subscribe(struct fake_redis_call *call, const char *name)
{
    struct peer *peer = call->peer;
    struct channel *channel = fake_redis_find_channel(peer, name);
    if (channel == NULL) {
        channel = memory_new(sizeof *channel + strlen(name) + 1);
        memcpy(channel->name, name, strlen(name) + 1);
        list_add(&peer->channels, &channel->link);
    }
    peer->subscriber = true;
    fake_redis_answer(call, "['%s', '%s', 1]",
                      strcmp(call->name, "SUBSCRIBE") == 0 ? "subscribe" : "ssubscribe", name);
}

static void unsubscribe(struct fake_redis_call *call, const char *name)
{
    struct channel *channel = fake_redis_find_channel(call->peer, name);
    if (channel != NULL)
        list_remove(&channel->link);
    free(channel);
    fake_redis_answer(call, "['unsubscribe', '%s', 0]", name);
}

/* What a script or PUBLISH publishes is on its way before the answer. */
static void publish_for(struct fake_redis_call *call, const char *channel, const char *text)
{
    fake_redis_publish(call->peer->fake, channel, "%s", text);
    fake_redis_answer(call, "1");
}

static const char *const simple_answers[][2] = {
    {"AUTH", "+OK"},   {"SELECT", "+OK"},
    {"CLIENT", "+OK"}, {"PING", "+PONG"},
    {"SCRIPT", "+OK"}, {"TIME", "['1700000000', '0']"},
    {"CONFIG", "[]"},  {"INFO", "'run_id:fake\r\nredis_version:7.0.0\r\nmaster_replid:first\r\n'"},
};

/* What the key of a day's addresses is asked for with, each day another one; NULL: it is something
 * else. */
static const char *answer_of_address_key(const struct fake_redis_call *call)
{
    static char answer[] = "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'";
    const char *key = fake_redis_argument(call, 1);
    if (key == NULL || strstr(key, ":cloak:") == NULL)
        return NULL;
    answer[1] = key[strlen(key) - 1]; /* the day's last digit */
    if (strcmp(call->name, "GET") == 0)
        return answer;
    if (strcmp(call->name, "SET") == 0)
        return "+OK";
    return strcmp(call->name, "EXPIRE") == 0 ? "1" : NULL;
}

/* GET and PTTL of what an operator may have ordered: there is nothing. */
static bool is_about_orders(const struct fake_redis_call *call)
{
    const char *key = fake_redis_argument(call, 1);
    return (strcmp(call->name, "GET") == 0 || strcmp(call->name, "PTTL") == 0) && key != NULL &&
           (strstr(key, ":pressure") != NULL || strstr(key, ":ban:") != NULL);
}

/* False when only the test can know an answer. */
static bool answer_alone(struct fake_redis_call *call)
{
    for (size_t i = 0; i < sizeof simple_answers / sizeof *simple_answers; i++)
        if (strcmp(call->name, simple_answers[i][0]) == 0) {
            fake_redis_answer(call, "%s", simple_answers[i][1]);
            return true;
        }
    const char *answer = answer_of_address_key(call);
    if (answer != NULL)
        fake_redis_answer(call, "%s", answer);
    else if (is_about_orders(call))
        fake_redis_answer(call, strcmp(call->name, "GET") == 0 ? "null" : "-2");
    else if (strcmp(call->name, "SUBSCRIBE") == 0 || strcmp(call->name, "SSUBSCRIBE") == 0)
        subscribe(call, fake_redis_argument(call, 1));
    else if (strcmp(call->name, "UNSUBSCRIBE") == 0)
        unsubscribe(call, fake_redis_argument(call, 1));
    else if (strcmp(call->name, "PUBLISH") == 0)
        publish_for(call, fake_redis_argument(call, 1), fake_redis_argument(call, 2));
    else if (strcmp(call->name, "rules") == 0)
        fake_redis_answer(call, "[-2, '', -2, '']");
    else if (strcmp(call->name, "probe") == 0)
        publish_for(call, fake_redis_key(call, 1), fake_redis_argument(call, 5));
    else
        return false;
    return true;
}

void fake_redis_answer(struct fake_redis_call *call, const char *format, ...)
{
    char *value = NULL;
    va_list values;
    va_start(values, format);
    if (format != NULL)
        assert_true(vasprintf(&value, format, values) >= 0);
    va_end(values);
    if (call->peer == NULL) {
        finish_answer(call);
    } else if (value == NULL) {
        assert_true(answer_alone(call));
    } else {
        resp_add_value(call->answer, value);
        finish_answer(call);
    }
    free(value);
}

/* --- Calls --- */

bool fake_redis_is_answered(const struct fake_redis_call *call)
{
    return call->answered;
}

void fake_redis_always(struct fake_redis *fake, const char *name, const char *value)
{
    size_t at = 0;
    while (at < fake->rule_count && strcmp(fake->rules[at].name, name) != 0)
        at++;
    assert_true(at < BROKER_RULES);
    fake->rules[at] = (struct rule){name, value};
    fake->rule_count += at == fake->rule_count;
}

void fake_redis_hash_scripts(struct fake_redis *fake)
{
    assert_true(script_sources_count <= BROKER_SCRIPTS);
    for (size_t i = 0; i < script_sources_count; i++) {
        uint8_t bytes[DIGEST_SHA1_BYTES];
        digest_sha1(script_sources[i].text, script_sources[i].len, bytes);
        for (size_t j = 0; j < sizeof bytes; j++)
            snprintf(fake->hashes[i] + 2 * j, 3, "%02x", bytes[j]);
    }
}

static const char *find_script(const struct fake_redis *fake, const char *hash)
{
    for (size_t i = 0; i < script_sources_count; i++)
        if (strcmp(fake->hashes[i], hash) == 0)
            return script_sources[i].name;
    fail_msg("no script of ours has the hash %s", hash);
    return NULL;
}

static const char *word(const struct fake_redis_call *call, size_t index)
{
    return index < call->words->elements ? call->words->element[index]->str : NULL;
}

const char *fake_redis_key(const struct fake_redis_call *call, size_t index)
{
    return index >= 1 && index <= call->key_count ? word(call, call->first_key + index - 1) : NULL;
}

const char *fake_redis_argument(const struct fake_redis_call *call, size_t index)
{
    return index >= 1 ? word(call, call->first_key + call->key_count + index - 1) : NULL;
}

static void obey_rules(struct fake_redis *fake, struct fake_redis_call *call)
{
    const struct rule *rule = fake->rules;
    const struct rule *end = rule + fake->rule_count;
    while (rule < end && strcmp(rule->name, call->name) != 0)
        rule++;
    if (rule == end && is_about_orders(call))
        list_remove(&call->in_redis); /* so many come that nobody can keep them */
    if (rule == end)
        answer_alone(call);
    else if (rule->value != NULL)
        fake_redis_answer(call, "%s", rule->value);
}

void fake_redis_take_call(struct peer *peer, redisReply *words)
{
    struct fake_redis *fake = peer->fake;
    struct fake_redis_call *call = memory_new(sizeof *call);
    *call = (struct fake_redis_call){
        .fake = peer->fake, .peer = peer, .words = words, .answer = evbuffer_new()};
    call->name = word(call, 0);
    call->first_key = 1;
    if (strcmp(call->name, "EVALSHA") == 0) {
        call->name = find_script(fake, word(call, 1));
        call->key_count = (size_t)atoi(word(call, 2));
        call->first_key = 3;
    }
    list_init(&call->in_redis);
    list_init(&call->in_peer);
    list_add(&fake->calls, &call->in_redis);
    list_add(&peer->unanswered, &call->in_peer);
    obey_rules(fake, call);
}

/* They stand in the fake's list in the order in which they came. */
bool fake_redis_came_before(const struct fake_redis_call *first,
                            const struct fake_redis_call *second)
{
    const struct fake_redis *fake = first->fake;
    for (const struct link *at = first->in_redis.next; at != &fake->calls; at = at->next)
        if (at == &second->in_redis)
            return true;
    return false;
}

size_t fake_redis_count(const struct fake_redis *fake, const char *name)
{
    size_t count = 0;
    for (struct link *at = fake->calls.next; at != &fake->calls; at = at->next)
        count += strcmp(LIST_ITEM(at, struct fake_redis_call, in_redis)->name, name) == 0;
    return count;
}

struct waiting {
    const struct fake_redis *fake;
    const char *name;
    struct fake_redis_call *found;
};

static bool has_come(void *arg)
{
    struct waiting *waiting = arg;
    const struct link *calls = &waiting->fake->calls;
    for (struct link *at = calls->next; at != calls && waiting->found == NULL; at = at->next) {
        struct fake_redis_call *call = LIST_ITEM(at, struct fake_redis_call, in_redis);
        if (!call->returned && strcmp(call->name, waiting->name) == 0)
            waiting->found = call;
    }
    return waiting->found != NULL;
}

struct fake_redis_call *fake_redis_await(struct fake_redis *fake, const char *name)
{
    struct waiting waiting = {fake, name, NULL};
    fake_redis_run_until(fake, has_come, &waiting);
    waiting.found->returned = true;
    return waiting.found;
}

void fake_redis_free_call_unless_kept(struct fake_redis_call *call)
{
    if (list_is_empty(&call->in_redis))
        free_call(call);
}

void fake_redis_free_calls(struct fake_redis *fake)
{
    while (!list_is_empty(&fake->calls))
        free_call(LIST_ITEM(fake->calls.next, struct fake_redis_call, in_redis));
}
