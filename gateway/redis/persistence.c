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
    bool found;                   /* INFO was answered since it was last asked */
    bool in_use;                  /* persistence_note_use was called since then */
    struct error_log_seen logged; /* the last one behind; when it is in use, that one alone */
};

/* --- INFO --- */

/* A field that is a number: is it more than `most`? */
static enum persistence_state is_above(const char *info, const char *name, long long most)
{
    char value[24];
    if (!redis_info_field(info, name, value, sizeof value) || value[0] == '\0')
        return PERSISTENCE_UNKNOWN;
    return atoll(value) > most ? PERSISTENCE_YES : PERSISTENCE_NO;
}

static void read_policy(struct persistence_facts *facts, const char *info)
{
    enum persistence_state limited = is_above(info, "maxmemory", 0);
    if (limited != PERSISTENCE_UNKNOWN &&
        redis_info_field(info, "maxmemory_policy", facts->policy, sizeof facts->policy))
        facts->evicts = strcmp(facts->policy, "noeviction") == 0 ? PERSISTENCE_NO : limited;
}

void persistence_read_info(struct persistence_facts *facts, const char *info)
{
    /* That no dump was taken yet does not say that none will be. */
    if (facts->snapshots == PERSISTENCE_UNKNOWN &&
        (is_above(info, "rdb_last_bgsave_time_sec", -1) == PERSISTENCE_YES ||
         is_above(info, "rdb_saves", 0) == PERSISTENCE_YES ||
         is_above(info, "rdb_bgsave_in_progress", 0) == PERSISTENCE_YES))
        facts->snapshots = PERSISTENCE_YES;
    if (facts->append_only == PERSISTENCE_UNKNOWN)
        facts->append_only = is_above(info, "aof_enabled", 0);
    read_policy(facts, info);
}

/* --- In words --- */

enum persistence_state persistence_writes(const struct persistence_facts *facts)
{
    if (facts->snapshots == PERSISTENCE_YES || facts->append_only == PERSISTENCE_YES)
        return PERSISTENCE_YES;
    if (facts->snapshots == PERSISTENCE_NO && facts->append_only == PERSISTENCE_NO)
        return PERSISTENCE_NO;
    return PERSISTENCE_UNKNOWN;
}

static void describe_disk(const struct persistence_facts *facts, struct text *out)
{
    enum persistence_state writes = persistence_writes(facts);
    if (writes != PERSISTENCE_YES) {
        text_add_string(out, writes == PERSISTENCE_NO
                                 ? "Redis writes nothing to disk"
                                 : "whether Redis writes to disk is not known (allow this user "
                                   "CONFIG GET, and the gateway can tell)");
        return;
    }
    text_add_string(out, "Redis writes what people say to disk");
    if (facts->snapshots == PERSISTENCE_YES && facts->save[0] != '\0')
        text_print(out, " (save %s)", facts->save);
    else if (facts->snapshots == PERSISTENCE_YES)
        text_add_string(out, " (it has taken snapshots)");
    if (facts->append_only == PERSISTENCE_YES)
        text_add_string(out, " (appendonly yes)");
    text_add_string(out, ": set save \"\" and appendonly no, as deploy/redis/yukizuri.conf does");
}

static void describe_eviction(const struct persistence_facts *facts, struct text *out)
{
    if (facts->policy[0] == '\0')
        text_add_string(out, "; whether it throws keys away is not known");
    else if (facts->evicts == PERSISTENCE_YES)
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

static uint64_t gauge_of(enum persistence_state answer)
{
    return answer == PERSISTENCE_UNKNOWN ? METRICS_UNKNOWN : answer == PERSISTENCE_YES;
}

static void forget_all_but_the_last(struct error_log_seen *logged)
{
    if (logged->count < 2)
        return;
    logged->hashes[0] = logged->hashes[logged->count - 1];
    logged->count = 1;
}

/* A Redis that cannot be used, such as a replica, is connected to again and again: it is logged
 * once. */
static void log_facts(struct persistence *persistence)
{
    const struct persistence_facts *facts = &persistence->facts;
    enum persistence_state writes = persistence_writes(facts);
    bool bad = writes == PERSISTENCE_YES || facts->evicts == PERSISTENCE_YES;
    struct text sentence = TEXT_EMPTY;
    persistence->metrics->redis_writes_to_disk = gauge_of(writes);
    persistence->metrics->redis_evicts = gauge_of(facts->evicts);
    persistence_describe(facts, &sentence);
    if (error_log_is_new(&persistence->logged, sentence.data))
        log_write(persistence->log, &(struct log_line){
                                        .level = bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                                        .kind = "redis-keeps",
                                        .message = sentence.data,
                                    });
    if (persistence->in_use)
        forget_all_but_the_last(&persistence->logged);
    text_done(&sentence);
}

static const char *value_of(const struct redis_reply *reply)
{
    return redis_reply_is_error(reply) ? NULL : redis_reply_string(redis_reply_at(reply, 1), NULL);
}

static void on_save(void *arg, const struct redis_reply *reply)
{
    struct persistence *persistence = arg;
    const char *times = value_of(reply);
    if (times == NULL)
        return;
    persistence->facts.snapshots = times[0] == '\0' ? PERSISTENCE_NO : PERSISTENCE_YES;
    snprintf(persistence->facts.save, sizeof persistence->facts.save, "%s", times);
}

static void on_append_only(void *arg, const struct redis_reply *reply)
{
    struct persistence *persistence = arg;
    const char *word = value_of(reply);
    if (word != NULL)
        persistence->facts.append_only =
            strcmp(word, "yes") == 0 ? PERSISTENCE_YES : PERSISTENCE_NO;
}

/* The last of the three. Without a connection there will be another look. */
static void on_info(void *arg, const struct redis_reply *reply)
{
    struct persistence *persistence = arg;
    if (reply == NULL)
        return;
    const char *info = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    if (info != NULL)
        persistence_read_info(&persistence->facts, info);
    persistence->found = true;
    log_facts(persistence);
}

void persistence_ask(struct persistence *persistence)
{
    struct redis *redis = persistence->commands;
    persistence->facts = (struct persistence_facts){0};
    persistence->found = persistence->in_use = false;
    /* one name a call: of several, the answers come in any order */
    if (redis_send_strings(redis, on_save, persistence, "CONFIG", "GET", "save", NULL) == 0)
        redis_mark_optional(redis);
    if (redis_send_strings(redis, on_append_only, persistence, "CONFIG", "GET", "appendonly",
                           NULL) == 0)
        redis_mark_optional(redis);
    if (redis_send_strings(redis, on_info, persistence, "INFO", NULL) == 0)
        redis_mark_optional(redis);
}

void persistence_note_use(struct persistence *persistence)
{
    if (persistence->in_use)
        return;
    persistence->in_use = true;
    forget_all_but_the_last(&persistence->logged);
    if (persistence->found)
        log_facts(persistence); /* the last that was logged may be another one's */
}

struct persistence *persistence_new(struct redis *commands, struct metrics *metrics,
                                    struct log *log)
{
    struct persistence *persistence = memory_new(sizeof *persistence);
    persistence->commands = commands;
    persistence->metrics = metrics;
    persistence->log = log;
    metrics->redis_writes_to_disk = METRICS_UNKNOWN;
    metrics->redis_evicts = METRICS_UNKNOWN;
    return persistence;
}

void persistence_free(struct persistence *persistence)
{
    free(persistence);
}
