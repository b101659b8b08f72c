#include "redis/script.h"

#include "base/digest.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = DIGEST_SHA1_BYTES * 2 + 1, MOST_SCRIPTS = 16, MOST_REPEATS = 3 };

/* A call, kept whole so that it can be repeated. */
struct script_run {
    struct redis *redis;
    redis_done done;
    void *arg;
    const struct script_source *source;
    unsigned repeats;
    struct redis_words words;
};

static char hashes[MOST_SCRIPTS][HASH_BYTES];

void script_hash_all(void)
{
    assert(script_sources_count <= MOST_SCRIPTS);
    for (size_t i = 0; i < script_sources_count; i++) {
        const struct script_source *source = &script_sources[i];
        uint8_t bytes[DIGEST_SHA1_BYTES];
        digest_sha1(source->text, source->len, bytes);
        for (size_t j = 0; j < sizeof bytes; j++)
            snprintf(hashes[i] + 2 * j, 3, "%02x", bytes[j]);
    }
}

static const struct script_source *find_source(const char *name)
{
    for (size_t i = 0; i < script_sources_count; i++)
        if (strcmp(script_sources[i].name, name) == 0)
            return &script_sources[i];
    abort(); /* no such script: a mistake of ours */
}

static struct redis_words load_words(const struct script_source *source)
{
    struct redis_words words = {0};
    redis_words_add_string(&words, "SCRIPT");
    redis_words_add_string(&words, "LOAD");
    redis_words_add(&words, source->text, source->len);
    return words;
}

/* Where the call goes. */
static void load_script_beside(const struct script_run *run)
{
    struct redis_words words = load_words(run->source);
    size_t len = 0;
    const char *key = redis_words_at(&run->words, 3, &len);
    redis_send_beside(run->redis, key == NULL ? "" : key, len, &words, NULL, NULL);
    redis_words_done(&words);
}

/* The slot may move to another node that does not know it, between the loading and the call. */
static unsigned most_repeats(const struct script_run *run)
{
    return redis_is_cluster(run->redis) ? MOST_REPEATS : 1;
}

void script_load_all(struct redis_connection *connection)
{
    for (size_t i = 0; i < script_sources_count; i++) {
        struct redis_words words = load_words(&script_sources[i]);
        redis_connection_send(connection, &words, NULL, NULL);
        redis_words_done(&words);
    }
}

static void on_run_done(void *arg, const struct redis_reply *reply);

static int send_run(struct script_run *run)
{
    return redis_send(run->redis, &run->words, on_run_done, run);
}

static void on_run_done(void *arg, const struct redis_reply *reply)
{
    struct script_run *run = arg;
    if (redis_reply_has_error(reply, "NOSCRIPT") && run->repeats < most_repeats(run)) {
        run->repeats++;
        load_script_beside(run);
        if (send_run(run) == 0)
            return;
    }
    if (run->done != NULL)
        run->done(run->arg, reply);
    script_drop(run);
}

void script_begin(struct script_call *call, const char *name)
{
    *call = (struct script_call){.source = find_source(name)};
}

void script_add_key(struct script_call *call, const char *key, size_t len)
{
    redis_words_add(&call->keys, key, len);
}

void script_add(struct script_call *call, const char *argument)
{
    redis_words_add_string(&call->words, argument);
}

void script_add_number(struct script_call *call, uint64_t number)
{
    char digits[TEXT_NUMBER_BYTES];
    redis_words_add(&call->words, digits, text_number(number, digits));
}

struct script_run *script_prepare(struct redis *redis, struct script_call *call)
{
    char key_count[TEXT_NUMBER_BYTES];
    struct script_run *run = memory_new(sizeof *run);
    run->redis = redis;
    run->source = call->source;
    redis_words_add_string(&run->words, "EVALSHA");
    redis_words_add_string(&run->words, hashes[call->source - script_sources]);
    redis_words_add(&run->words, key_count, text_number(call->keys.count, key_count));
    redis_words_move(&run->words, &call->keys);
    redis_words_move(&run->words, &call->words);
    return run;
}

void script_drop(struct script_run *run)
{
    redis_words_done(&run->words);
    free(run);
}

int script_send(struct script_run *run, redis_done done, void *arg)
{
    run->done = done;
    run->arg = arg;
    if (send_run(run) == 0)
        return 0;
    script_drop(run);
    return -1;
}

int script_run(struct redis *redis, struct script_call *call, redis_done done, void *arg)
{
    return script_send(script_prepare(redis, call), done, arg);
}
