#include "redis/persistence.h"

#include "base/memory.h"
#include "redis/error_log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct persistence {
    struct redis *commands;
    struct metrics *metrics;
    struct log *log;
    struct persistence_facts facts;
    struct redis_told told; /* since the way was last proven; the last one behind */
};

/* --- INFO --- */

/* A field that is a number: is it more than `most`? */
static enum persistence_answer is_above(const char *info, const char *name, long long most)
{
    char value[24];
    if (!redis_info_field(info, name, value, sizeof value) || value[0] == '\0')
        return REDIS_KEEPS_UNKNOWN;
    return atoll(value) > most ? REDIS_KEEPS_YES : REDIS_KEEPS_NO;
}

static void read_policy(struct persistence_facts *facts, const char *info)
{
    enum persistence_answer limited = is_above(info, "maxmemory", 0);
    if (limited != REDIS_KEEPS_UNKNOWN &&
        redis_info_field(info, "maxmemory_policy", facts->policy, sizeof facts->policy))
        facts->evicts = strcmp(facts->policy, "noeviction") == 0 ? REDIS_KEEPS_NO : limited;
}

void persistence_read_info(struct persistence_facts *facts, const char *info)
{
    /* That no dump was taken yet does not say that none will be. */
    if (facts->snapshots == REDIS_KEEPS_UNKNOWN &&
        (is_above(info, "rdb_last_bgsave_time_sec", -1) == REDIS_KEEPS_YES ||
         is_above(info, "rdb_saves", 0) == REDIS_KEEPS_YES ||
         is_above(info, "rdb_bgsave_in_progress", 0) == REDIS_KEEPS_YES))
        facts->snapshots = REDIS_KEEPS_YES;
    if (facts->append_only == REDIS_KEEPS_UNKNOWN)
        facts->append_only = is_above(info, "aof_enabled", 0);
    read_policy(facts, info);
}

/* --- In words --- */

enum persistence_answer persistence_writes(const struct persistence_facts *facts)
{
    if (facts->snapshots == REDIS_KEEPS_YES || facts->append_only == REDIS_KEEPS_YES)
        return REDIS_KEEPS_YES;
    if (facts->snapshots == REDIS_KEEPS_NO && facts->append_only == REDIS_KEEPS_NO)
        return REDIS_KEEPS_NO;
    return REDIS_KEEPS_UNKNOWN;
}

static void describe_disk(const struct persistence_facts *facts, struct text *out)
{
    switch (persistence_writes(facts)) {
    case REDIS_KEEPS_NO:
        text_add_string(out, "Redis writes nothing to disk");
        return;
    case REDIS_KEEPS_UNKNOWN:
        text_add_string(out, "whether Redis writes to disk is not known (allow this user CONFIG "
                             "GET, and the gateway can tell)");
        return;
    default:
        break;
    }
    text_add_string(out, "Redis writes what people say to disk");
    if (facts->snapshots == REDIS_KEEPS_YES && facts->save[0] != '\0')
        text_print(out, " (save %s)", facts->save);
    else if (facts->snapshots == REDIS_KEEPS_YES)
        text_add_string(out, " (it has taken snapshots)");
    if (facts->append_only == REDIS_KEEPS_YES)
        text_add_string(out, " (appendonly yes)");
    text_add_string(out, ": set save \"\" and appendonly no, as deploy/redis/yukizuri.conf does");
}

static void describe_eviction(const struct persistence_facts *facts, struct text *out)
{
    if (facts->policy[0] == '\0')
        text_add_string(out, "; whether it throws keys away is not known");
    else if (facts->evicts == REDIS_KEEPS_YES)
        text_print(out,
                   "; it may throw away members and kept messages for want of memory "
                   "(maxmemory-policy %s): set maxmemory-policy noeviction",
                   facts->policy);
    else
        text_print(out, "; it throws nothing away (maxmemory-policy %s%s)", facts->policy,
                   strcmp(facts->policy, "noeviction") == 0 ? "" : ", no maxmemory");
}

void persistence_describe(const struct persistence_facts *facts, struct text *out)
{
    describe_disk(facts, out);
    describe_eviction(facts, out);
}

/* --- Asking --- */

static uint64_t gauge_of(enum persistence_answer answer)
{
    return answer == REDIS_KEEPS_UNKNOWN ? METRICS_UNKNOWN : answer == REDIS_KEEPS_YES;
}

/* A Redis that cannot be used, such as a replica, is connected to again and again: it is told of
 * once. */
static void tell(struct persistence *keeps)
{
    const struct persistence_facts *facts = &keeps->facts;
    enum persistence_answer writes = persistence_writes(facts);
    bool bad = writes == REDIS_KEEPS_YES || facts->evicts == REDIS_KEEPS_YES;
    struct text sentence = TEXT_EMPTY;
    keeps->metrics->redis_writes_to_disk = gauge_of(writes);
    keeps->metrics->redis_evicts = gauge_of(facts->evicts);
    persistence_describe(facts, &sentence);
    if (redis_told_add(&keeps->told, sentence.data))
        log_write(keeps->log, &(struct log_line){
                                  .level = bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                                  .kind = "redis-keeps",
                                  .message = sentence.data,
                              });
    text_done(&sentence);
}

static const char *value_of(const struct redis_reply *reply)
{
    return redis_reply_is_error(reply) ? NULL : redis_reply_string(redis_reply_at(reply, 1), NULL);
}

static void on_save(void *arg, const struct redis_reply *reply)
{
    struct persistence *keeps = arg;
    const char *times = value_of(reply);
    if (times == NULL)
        return;
    keeps->facts.snapshots = times[0] == '\0' ? REDIS_KEEPS_NO : REDIS_KEEPS_YES;
    snprintf(keeps->facts.save, sizeof keeps->facts.save, "%s", times);
}

static void on_append_only(void *arg, const struct redis_reply *reply)
{
    struct persistence *keeps = arg;
    const char *word = value_of(reply);
    if (word != NULL)
        keeps->facts.append_only = strcmp(word, "yes") == 0 ? REDIS_KEEPS_YES : REDIS_KEEPS_NO;
}

/* The last of the three. Without a connection there will be another look. */
static void on_info(void *arg, const struct redis_reply *reply)
{
    struct persistence *keeps = arg;
    if (reply == NULL)
        return;
    const char *info = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    if (info != NULL)
        persistence_read_info(&keeps->facts, info);
    tell(keeps);
}

void persistence_look(struct persistence *keeps)
{
    struct redis *redis = keeps->commands;
    keeps->facts = (struct persistence_facts){0};
    /* one name a call: of several, the answers come in any order */
    if (redis_send_strings(redis, on_save, keeps, "CONFIG", "GET", "save", NULL) == 0)
        redis_mark_optional(redis);
    if (redis_send_strings(redis, on_append_only, keeps, "CONFIG", "GET", "appendonly", NULL) == 0)
        redis_mark_optional(redis);
    if (redis_send_strings(redis, on_info, keeps, "INFO", NULL) == 0)
        redis_mark_optional(redis);
}

/* What was told last stays told. */
void persistence_tell(struct persistence *keeps)
{
    if (keeps->told.count < 2)
        return;
    keeps->told.texts[0] = keeps->told.texts[keeps->told.count - 1];
    keeps->told.count = 1;
}

struct persistence *persistence_new(struct redis *commands, struct metrics *metrics,
                                    struct log *log)
{
    struct persistence *keeps = memory_new(sizeof *keeps);
    keeps->commands = commands;
    keeps->metrics = metrics;
    keeps->log = log;
    metrics->redis_writes_to_disk = METRICS_UNKNOWN;
    metrics->redis_evicts = METRICS_UNKNOWN;
    return keeps;
}

void persistence_free(struct persistence *keeps)
{
    free(keeps);
}
