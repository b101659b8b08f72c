#include "broker/publish_batch.h"

#include "base/memory.h"
#include "base/text.h"
#include "broker/topic_call.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_SAYS = 128,     /* in one call: a script holds up all others while it runs */
    MOST_BYTES = 65536,  /* in one call, before the last say */
    KEPT_BYTES = 262144, /* of memory for the next turn; what a storm needed more is given back */
    WORDS = 4,           /* of a say: the key of its nonces, body, nonce, epoch */
    NONE = UINT32_MAX,
};

/* Who waits for the answer. */
struct answer {
    redis_done done;
    void *arg;
};

struct say {
    struct answer answer;
    bool has_nonce;
    uint32_t next;     /* of its batch; NONE for the last */
    size_t at;         /* where its words begin */
    size_t len[WORDS]; /* one after the other */
};

/* The says of one room that go out in one call. */
struct batch {
    struct topic *topic;
    uint32_t first, last; /* says */
    size_t count, bytes;
};

/* What a call's reply is for. */
struct answers {
    size_t count;
    struct answer of[];
};

/* Everything of one turn, all rooms in a row; a topic knows the number of its batch. */
struct outbox {
    struct text words;
    struct say *says;
    struct batch *batches;
    uint32_t say_count, say_capacity;
    uint32_t batch_count, batch_capacity;
    struct redis *redis;
    const struct script_settings *settings;
};

struct outbox *outbox_new(struct redis *redis, const struct script_settings *settings)
{
    struct outbox *outbox = memory_new(sizeof *outbox);
    outbox->redis = redis;
    outbox->settings = settings;
    return outbox;
}

static void free_memory(struct outbox *outbox)
{
    text_done(&outbox->words);
    free(outbox->says);
    free(outbox->batches);
    outbox->says = NULL;
    outbox->batches = NULL;
    outbox->say_capacity = outbox->batch_capacity = 0;
}

void outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    free_memory(outbox);
    free(outbox);
}

/* --- Gathering --- */

/* The array, with room for one more than `count`. */
static void *make_room(void *array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    return memory_resize(array, *capacity, size);
}

static struct batch *new_batch(struct outbox *outbox, struct topic *topic)
{
    uint32_t number = outbox->batch_count++;
    outbox->batches =
        make_room(outbox->batches, number, &outbox->batch_capacity, sizeof *outbox->batches);
    topic->batch = number + 1;
    outbox->batches[number] = (struct batch){.topic = topic, .first = NONE, .last = NONE};
    return &outbox->batches[number];
}

/* The one that gathers for this topic. */
static struct batch *batch_of(struct outbox *outbox, struct topic *topic)
{
    uint32_t number = topic->batch;
    if (number == 0)
        return new_batch(outbox, topic);
    struct batch *batch = &outbox->batches[number - 1];
    bool full = batch->count >= MOST_SAYS || batch->bytes >= MOST_BYTES;
    return full ? new_batch(outbox, topic) : batch;
}

static void append(struct outbox *outbox, struct batch *batch, uint32_t number)
{
    if (batch->last == NONE)
        batch->first = number;
    else
        outbox->says[batch->last].next = number;
    batch->last = number;
    batch->count++;
    batch->bytes += outbox->words.len - outbox->says[number].at;
}

static size_t add_word(struct outbox *outbox, const char *word, size_t len)
{
    text_add(&outbox->words, word, len);
    return len;
}

static size_t add_string(struct outbox *outbox, const char *string)
{
    return string == NULL ? 0 : add_word(outbox, string, strlen(string));
}

void outbox_add(struct outbox *outbox, struct topic *topic, const struct publish_batch_say *what,
                redis_done done, void *arg)
{
    uint32_t number = outbox->say_count++;
    outbox->says = make_room(outbox->says, number, &outbox->say_capacity, sizeof *outbox->says);
    struct say *say = &outbox->says[number];
    *say = (struct say){
        .answer = {done, arg},
        .has_nonce = what->nonce != NULL,
        .next = NONE,
        .at = outbox->words.len,
    };
    if (say->has_nonce) {
        const struct key nonces = key_item(topic->base.text, "nonces", what->id);
        say->len[0] = add_string(outbox, nonces.text);
    }
    say->len[1] = add_word(outbox, what->body, what->body_len);
    say->len[2] = add_string(outbox, what->nonce);
    say->len[3] = add_string(outbox, what->epoch);
    append(outbox, batch_of(outbox, topic), number);
}

/* --- Sending --- */

static void on_answered(void *arg, const struct redis_reply *reply)
{
    struct answers *answers = arg;
    bool whole = redis_reply_is_error(reply); /* the same for all */
    for (size_t i = 0; i < answers->count; i++)
        answers->of[i].done(answers->of[i].arg, whole ? reply : redis_reply_at(reply, i));
    free(answers);
}

static const struct say *next_say(const struct outbox *outbox, const struct say *say)
{
    return say->next == NONE ? NULL : &outbox->says[say->next];
}

static void add_keys(struct script_call *call, const struct outbox *outbox, const struct say *say)
{
    for (; say != NULL; say = next_say(outbox, say))
        if (say->has_nonce)
            script_add_key(call, outbox->words.data + say->at, say->len[0]);
}

static void add_arguments(struct script_call *call, const struct outbox *outbox,
                          const struct say *say)
{
    for (; say != NULL; say = next_say(outbox, say)) {
        const char *at = outbox->words.data + say->at + say->len[0];
        for (size_t word = 1; word < WORDS; word++) {
            redis_words_add(&call->words, at, say->len[word]);
            at += say->len[word];
        }
    }
}

static struct answers *new_answers(const struct outbox *outbox, const struct batch *batch)
{
    struct answers *answers =
        memory_resize(NULL, 1, sizeof *answers + batch->count * sizeof answers->of[0]);
    answers->count = 0;
    const struct say *say = &outbox->says[batch->first];
    for (; say != NULL; say = next_say(outbox, say))
        answers->of[answers->count++] = say->answer;
    return answers;
}

static void send_batch(const struct outbox *outbox, const struct batch *batch)
{
    const struct say *first = &outbox->says[batch->first];
    struct topic_call call;
    topic_call_begin(&call, "publish", batch->topic, outbox->settings);
    add_keys(&call.call, outbox, first);
    topic_call_end_keys(&call);
    topic_call_add(&call, outbox->settings->most_nonces);
    topic_call_add(&call, outbox->settings->nonce_ttl);
    add_arguments(&call.call, outbox, first);
    struct answers *answers = new_answers(outbox, batch);
    if (script_run(outbox->redis, &call.call, on_answered, answers) != 0)
        redis_fail(outbox->redis, on_answered, answers);
}

/* Empties the outbox into Redis, or, without `send`, into nowhere: then callbacks run from within,
 * which do not add to it. */
static void empty(struct outbox *outbox, bool send)
{
    for (uint32_t i = 0; i < outbox->batch_count; i++) {
        outbox->batches[i].topic->batch = 0;
        if (send)
            send_batch(outbox, &outbox->batches[i]);
        else
            on_answered(new_answers(outbox, &outbox->batches[i]), NULL);
    }
    outbox->batch_count = outbox->say_count = 0;
    text_clear(&outbox->words);
    if (outbox->words.capacity + outbox->say_capacity * sizeof *outbox->says > KEPT_BYTES)
        free_memory(outbox);
}

void outbox_flush(struct outbox *outbox)
{
    empty(outbox, true);
}

void outbox_stop(struct outbox *outbox)
{
    if (outbox != NULL)
        empty(outbox, false);
}
