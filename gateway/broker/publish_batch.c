#include "broker/publish_batch.h"

#include "base/list.h"
#include "base/memory.h"
#include "broker/script_settings.h"

#include <stdlib.h>

enum {
    MOST_SAYS = 128,    /* in one call: a script holds up all others while it runs */
    MOST_BYTES = 65536, /* in one call, before the last say */
};

/* Who waits for the answer. */
struct answer {
    redis_done done;
    void *arg;
};

/* The says of one room that go out in one call; then what its reply is for. */
struct batch {
    struct link link; /* until it is sent */
    struct durability *durability;
    struct topic *topic;
    struct script_call call;
    size_t count;
    struct answer *answers;
    struct durability_wait wait; /* since it was sent */
};

struct publish_batch {
    struct link batches; /* of one iteration */
    struct redis *redis;
    struct durability *durability; /* or NULL */
    const struct config *config;
};

struct publish_batch *publish_batch_new(struct redis *redis, struct durability *durability,
                                        const struct config *config)
{
    struct publish_batch *publish = memory_new(sizeof *publish);
    list_init(&publish->batches);
    publish->redis = redis;
    publish->durability = durability;
    publish->config = config;
    return publish;
}

void publish_batch_free(struct publish_batch *publish)
{
    free(publish);
}

/* --- Adding --- */

static struct batch *new_batch(struct publish_batch *publish, struct topic *topic)
{
    struct batch *batch = memory_new(sizeof *batch);
    batch->topic = topic;
    batch->durability = publish->durability;
    topic_begin_call(topic, &batch->call, "publish");
    script_add_number(&batch->call, script_settings_most_nonces(publish->config));
    script_add_number(&batch->call, script_settings_nonce_ttl(publish->config));
    list_add(&publish->batches, &batch->link);
    topic->batch = batch;
    return batch;
}

/* The one that takes what is said to this topic. */
static struct batch *batch_of(struct publish_batch *publish, struct topic *topic)
{
    struct batch *batch = topic->batch;
    if (batch == NULL || batch->count >= MOST_SAYS ||
        batch->call.keys.bytes.len + batch->call.words.bytes.len >= MOST_BYTES)
        return new_batch(publish, topic);
    return batch;
}

static void add_answer(struct batch *batch, redis_done done, void *arg)
{
    if ((batch->count & (batch->count - 1)) == 0) /* a power of two, or none: it is full */
        batch->answers = memory_resize(batch->answers, batch->count == 0 ? 1 : batch->count * 2,
                                       sizeof *batch->answers);
    batch->answers[batch->count++] = (struct answer){done, arg};
}

void publish_batch_add(struct publish_batch *publish, struct topic *topic,
                       const struct publish_batch_say *say, redis_done done, void *arg)
{
    struct batch *batch = batch_of(publish, topic);
    if (say->nonce != NULL)
        topic_add_key(topic, &batch->call, "nonces", say->id);
    redis_words_add(&batch->call.words, say->body, say->body_len);
    script_add(&batch->call, say->nonce == NULL ? "" : say->nonce);
    script_add(&batch->call, say->epoch == NULL ? "" : say->epoch);
    add_answer(batch, done, arg);
}

/* --- Sending --- */

static void tell_batch(void *arg, const struct redis_reply *reply)
{
    struct batch *batch = arg;
    bool whole = redis_reply_is_error(reply); /* the same for all */
    for (size_t i = 0; i < batch->count; i++)
        batch->answers[i].done(batch->answers[i].arg, whole ? reply : redis_reply_at(reply, i));
    free(batch->answers);
    free(batch);
}

static void on_batch_answered(void *arg, const struct redis_reply *reply)
{
    struct batch *batch = arg;
    if (batch->durability == NULL) {
        tell_batch(batch, reply);
        return;
    }
    batch->wait.done = tell_batch;
    batch->wait.arg = batch;
    batch->wait.says = batch->count;
    durability_await(batch->durability, &batch->wait, reply);
}

static struct batch *take_first(struct publish_batch *publish)
{
    struct batch *batch = LIST_ITEM(publish->batches.next, struct batch, link);
    list_remove(&batch->link);
    batch->topic->batch = NULL;
    return batch;
}

void publish_batch_flush(struct publish_batch *publish)
{
    while (!list_is_empty(&publish->batches)) {
        struct batch *batch = take_first(publish);
        durability_begin(publish->durability, &batch->wait);
        if (script_run(publish->redis, &batch->call, on_batch_answered, batch) != 0)
            redis_fail(publish->redis, on_batch_answered, batch);
    }
}

void publish_batch_stop(struct publish_batch *publish)
{
    while (publish != NULL && !list_is_empty(&publish->batches)) {
        struct batch *batch = take_first(publish);
        script_drop(script_prepare(publish->redis, &batch->call));
        tell_batch(batch, NULL);
    }
}
