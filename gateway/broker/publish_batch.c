#include "broker/publish_batch.h"

#include "base/list.h"
#include "base/memory.h"
#include "broker/topic_call.h"

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
    struct link link; /* in the outbox, until it is sent */
    struct topic *topic;
    struct script_call call;
    size_t count;
    struct answer *answers;
};

struct outbox {
    struct link batches; /* of one turn */
    struct redis *redis;
    const struct script_settings *settings;
};

struct outbox *outbox_new(struct redis *redis, const struct script_settings *settings)
{
    struct outbox *outbox = memory_new(sizeof *outbox);
    list_init(&outbox->batches);
    outbox->redis = redis;
    outbox->settings = settings;
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    free(outbox);
}

/* --- Gathering --- */

static struct batch *new_batch(struct outbox *outbox, struct topic *topic)
{
    struct batch *batch = memory_new(sizeof *batch);
    batch->topic = topic;
    topic_call_begin(&batch->call, "publish", topic, outbox->settings);
    script_add(&batch->call, outbox->settings->most_nonces);
    script_add(&batch->call, outbox->settings->nonce_ttl);
    list_add(&outbox->batches, &batch->link);
    topic->batch = batch;
    return batch;
}

/* The one that gathers for this topic. */
static struct batch *batch_of(struct outbox *outbox, struct topic *topic)
{
    struct batch *batch = topic->batch;
    if (batch == NULL || batch->count >= MOST_SAYS ||
        batch->call.keys.bytes.len + batch->call.words.bytes.len >= MOST_BYTES)
        return new_batch(outbox, topic);
    return batch;
}

static void add_answer(struct batch *batch, redis_done done, void *arg)
{
    if ((batch->count & (batch->count - 1)) == 0) /* a power of two, or none: it is full */
        batch->answers = memory_resize(batch->answers, batch->count == 0 ? 1 : batch->count * 2,
                                       sizeof *batch->answers);
    batch->answers[batch->count++] = (struct answer){done, arg};
}

void outbox_add(struct outbox *outbox, struct topic *topic, const struct publish_batch_say *what,
                redis_done done, void *arg)
{
    struct batch *batch = batch_of(outbox, topic);
    if (what->nonce != NULL)
        topic_call_add_key(&batch->call, topic, "nonces", what->id);
    redis_words_add(&batch->call.words, what->body, what->body_len);
    script_add(&batch->call, what->nonce == NULL ? "" : what->nonce);
    script_add(&batch->call, what->epoch == NULL ? "" : what->epoch);
    add_answer(batch, done, arg);
}

/* --- Sending --- */

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct batch *batch = arg;
    bool whole = redis_reply_is_error(reply); /* the same for all */
    for (size_t i = 0; i < batch->count; i++)
        batch->answers[i].done(batch->answers[i].arg, whole ? reply : redis_reply_at(reply, i));
    free(batch->answers);
    free(batch);
}

static struct batch *take_first(struct outbox *outbox)
{
    struct batch *batch = LIST_ITEM(outbox->batches.next, struct batch, link);
    list_remove(&batch->link);
    batch->topic->batch = NULL;
    return batch;
}

void outbox_flush(struct outbox *outbox)
{
    while (!list_is_empty(&outbox->batches)) {
        struct batch *batch = take_first(outbox);
        if (script_run(outbox->redis, &batch->call, on_answered, batch) != 0)
            redis_fail(outbox->redis, on_answered, batch);
    }
}

void outbox_stop(struct outbox *outbox)
{
    while (outbox != NULL && !list_is_empty(&outbox->batches)) {
        struct batch *batch = take_first(outbox);
        script_drop(script_prepare(outbox->redis, &batch->call));
        on_answered(batch, NULL);
    }
}
