/* What a world's Redis is asked, and what it answers by itself. */
#include "unit.h"

#include "world_internal.h"

enum {
    MOST_CALLS = 4096,
    MOST_RULES = 64,
    PATIENCE_MS = 4500, /* less than the deadline of a call that is waited for */
};

struct rule {
    char name[16], key[64], value[4096];
};

/* What waits for the test, or a rule, and not for the fake. */
static const char *const names[] = {
    "join",    "leave",  "ours",   "refresh",  "publish", "lease", "reap",
    "trim",    "roster", "recent", "SMEMBERS", "EXISTS",  "SET",   "SSCAN",
    "PEXPIRE", "SREM",   "DEL",    "keep",     "EXPIRE",  "SCARD", "rule",
};
enum { NAMES = sizeof names / sizeof *names };

static struct {
    struct rule rules[MOST_RULES];
    size_t rule_count;
    struct {
        struct fake_redis_call *call;
        const char *name;
        bool done; /* answered by a rule, or returned */
    } calls[MOST_CALLS];
    size_t call_count;
    size_t seen[NAMES]; /* of each name, so many calls */
} asked;

/* --- Rules --- */

/* A Redis in which nothing unusual happens. */
static const char *const defaults[][2] = {
    {"keep", "0"},          {"EXPIRE", "1"},  {"SREM", "1"},
    {"DEL", "1"},           {"PEXPIRE", "0"}, {"SCARD", "0"},
    {"SMEMBERS", "[]"},     {"EXISTS", "1"},  {"SET", "+OK"},
    {"SSCAN", "['0', []]"}, {"trim", "0"},    {"refresh", "'kkkkkkkkkkkkkkkkkkkk'"},
    {"rule", "1"},
};

static const char *first_key(const struct fake_redis_call *call)
{
    const char *key = fake_redis_key(call, 1);
    return key != NULL ? key : fake_redis_argument(call, 1);
}

static struct rule *find_rule(const char *name, const char *key)
{
    for (size_t i = 0; i < asked.rule_count; i++)
        if (strcmp(asked.rules[i].name, name) == 0 && strcmp(asked.rules[i].key, key) == 0)
            return &asked.rules[i];
    return NULL;
}

void world_when(const char *name, const char *key, const char *value)
{
    struct rule *rule = find_rule(name, key == NULL ? "" : key);
    if (rule == NULL) {
        assert_true(asked.rule_count < MOST_RULES);
        rule = &asked.rules[asked.rule_count++];
    }
    snprintf(rule->name, sizeof rule->name, "%s", name);
    snprintf(rule->key, sizeof rule->key, "%s", key == NULL ? "" : key);
    snprintf(rule->value, sizeof rule->value, "%s", value);
}

void world_hold(const char *name, const char *key)
{
    world_when(name, key, "");
}

static void obey(size_t index)
{
    struct fake_redis_call *call = asked.calls[index].call;
    const char *key = first_key(call);
    const struct rule *rule = key == NULL ? NULL : find_rule(asked.calls[index].name, key);
    if (rule == NULL)
        rule = find_rule(asked.calls[index].name, "");
    if (rule == NULL || rule->value[0] == '\0')
        return;
    asked.calls[index].done = true;
    fake_redis_answer(call, "%s", rule->value);
}

static void note_calls(const char *name, size_t *seen)
{
    for (; *seen < fake_redis_count(world.fake, name); (*seen)++) {
        assert_true(asked.call_count < MOST_CALLS);
        size_t index = asked.call_count++;
        asked.calls[index].call = fake_redis_await(world.fake, name); /* it is there */
        asked.calls[index].name = name;
        asked.calls[index].done = fake_redis_is_answered(asked.calls[index].call);
        if (!asked.calls[index].done)
            obey(index);
    }
}

void world_note_calls(void)
{
    for (size_t i = 0; i < NAMES; i++)
        note_calls(names[i], &asked.seen[i]);
}

void world_forget_calls(void)
{
    memset(&asked, 0, sizeof asked);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        world_when(defaults[i][0], NULL, defaults[i][1]);
}

/* --- Calls --- */

static size_t find_call(const char *name)
{
    size_t index = 0;
    while (index < asked.call_count &&
           (asked.calls[index].done || strcmp(asked.calls[index].name, name) != 0))
        index++;
    return index;
}

static bool has_called(void *arg)
{
    return find_call(arg) < asked.call_count;
}

struct fake_redis_call *world_await(const char *name)
{
    if (!loop_until(has_called, (void *)(uintptr_t)name, PATIENCE_MS))
        fail_msg("no call of %s came", name);
    size_t index = find_call(name);
    asked.calls[index].done = true;
    return asked.calls[index].call;
}

void world_expect_none(const char *name)
{
    loop_settle();
    size_t index = find_call(name);
    if (index < asked.call_count)
        fail_msg("%s was called: %s", name, first_key(asked.calls[index].call));
}

size_t world_count(const char *name)
{
    loop_settle();
    return fake_redis_count(world.fake, name);
}

static bool is_call(size_t index, const char *name, const char *key)
{
    const char *there = first_key(asked.calls[index].call);
    return strcmp(asked.calls[index].name, name) == 0 && there != NULL && strcmp(there, key) == 0;
}

struct fake_redis_call *world_last(const char *name, const char *key)
{
    loop_settle();
    for (size_t i = asked.call_count; i-- > 0;)
        if (is_call(i, name, key))
            return asked.calls[i].call;
    return NULL;
}

size_t world_count_of(const char *name, const char *key)
{
    size_t count = 0;
    loop_settle();
    for (size_t i = 0; i < asked.call_count; i++)
        count += is_call(i, name, key);
    return count;
}
