#include "script.h"

#include "digest.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = DIGEST_SHA1_BYTES * 2 + 1, MOST_SCRIPTS = 16 };

/* A call on its way, kept whole so that it can be repeated. */
struct run {
    struct redis *redis;
    redis_done done;
    void *arg;
    const struct script_source *source;
    bool repeated;
    size_t len;
    char *command; /* as Redis reads it */
};

static const char *hash_of(const struct script_source *source)
{
    static char hashes[MOST_SCRIPTS][HASH_BYTES];
    char *hash = hashes[source - script_sources];
    if (hash[0] == '\0') {
        uint8_t bytes[DIGEST_SHA1_BYTES];
        digest_sha1(source->text, source->len, bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(hash + 2 * i, 3, "%02x", bytes[i]);
    }
    return hash;
}

static const struct script_source *find_source(const char *name)
{
    for (size_t i = 0; i < script_sources_count; i++)
        if (strcmp(script_sources[i].name, name) == 0)
            return &script_sources[i];
    abort(); /* no such script: a mistake of ours */
}

static void load(struct redis *redis, const struct script_source *source)
{
    struct redis_words words;
    words.count = 0;
    redis_words_add_string(&words, "SCRIPT");
    redis_words_add_string(&words, "LOAD");
    redis_words_add(&words, source->text, source->len);
    redis_send(redis, &words, NULL, NULL);
}

void script_load_all(struct redis *redis)
{
    for (size_t i = 0; i < script_sources_count; i++)
        load(redis, &script_sources[i]);
}

static char *format(const struct script_call *call, const char *hash, size_t *len)
{
    char keys[24];
    struct redis_words words;
    words.count = 0;
    snprintf(keys, sizeof keys, "%zu", call->key_count);
    redis_words_add_string(&words, "EVALSHA");
    redis_words_add_string(&words, hash);
    redis_words_add_string(&words, keys);
    for (size_t i = 0; i < call->words.count; i++)
        redis_words_add(&words, call->words.data[i], call->words.len[i]);
    return redis_format(&words, len);
}

static void free_run(struct run *run)
{
    free(run->command);
    free(run);
}

static void on_done(void *arg, const struct redisReply *reply);

static int send_run(struct run *run)
{
    const struct redis_command command = {run->command, run->len, on_done, run};
    return redis_send_formatted(run->redis, &command);
}

static void on_done(void *arg, const struct redisReply *reply)
{
    struct run *run = arg;
    const char *text = redis_reply_string(reply, NULL);
    bool missing =
        reply != NULL && redis_reply_is_error(reply) && strncmp(text, "NOSCRIPT", 8) == 0;
    if (missing && !run->repeated) {
        run->repeated = true;
        load(run->redis, run->source);
        if (send_run(run) == 0)
            return;
    }
    if (run->done != NULL)
        run->done(run->arg, reply);
    free_run(run);
}

int script_run(struct redis *redis, const struct script_call *call, redis_done done, void *arg)
{
    if (!redis_is_ready(redis))
        return -1;
    struct run *run = memory_new(sizeof *run);
    run->source = find_source(call->name);
    run->command = format(call, hash_of(run->source), &run->len);
    run->redis = redis;
    run->done = done;
    run->arg = arg;
    if (send_run(run) == 0)
        return 0;
    free_run(run);
    return -1;
}
