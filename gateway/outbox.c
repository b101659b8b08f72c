#include "outbox.h"

#include "feed.h"
#include "keys.h"
#include "list.h"
#include "memory.h"
#include "text.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_SAYS = 128,    /* in one call: a script holds up all others while it runs */
    MOST_BYTES = 65536, /* in one call, before the last say */
    WORDS = 4,          /* of a say: the key of its nonces, body, nonce, epoch */
};

struct waiting {
    redis_done done;
    void *arg;
    bool has_nonce;
    size_t len[WORDS];
};

/* The says of one room that go out in one call, and then wait for its reply. */
struct batch {
    struct link in_outbox;
    struct feed *feed;
    struct text words; /* one after the other */
    size_t count, capacity;
    struct waiting *waiting;
};

struct outbox {
    struct link batches;
    struct event *turn_end;
};

static void on_turn_end(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    outbox_flush(arg);
}

struct outbox *outbox_new(struct event_base *base)
{
    struct outbox *outbox = memory_new(sizeof *outbox);
    list_init(&outbox->batches);
    outbox->turn_end = event_new(base, -1, 0, on_turn_end, outbox);
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    event_free(outbox->turn_end);
    free(outbox);
}

/* --- Gathering --- */

static struct batch *new_batch(struct outbox *outbox, struct feed *feed)
{
    struct batch *batch = memory_new(sizeof *batch);
    batch->feed = feed;
    list_add(&outbox->batches, &batch->in_outbox);
    event_active(outbox->turn_end, EV_TIMEOUT, 0);
    return batch;
}

static bool is_full(const struct batch *batch)
{
    return batch->count >= MOST_SAYS || batch->words.len >= MOST_BYTES;
}

/* The one that gathers for this feed. */
static struct batch *batch_of(struct outbox *outbox, struct feed *feed)
{
    void **gathering = feed_outgoing(feed);
    if (*gathering == NULL || is_full(*gathering))
        *gathering = new_batch(outbox, feed);
    return *gathering;
}

static struct waiting *new_waiting(struct batch *batch)
{
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity == 0 ? 1 : batch->capacity * 2;
        batch->waiting = memory_resize(batch->waiting, batch->capacity, sizeof *batch->waiting);
    }
    return &batch->waiting[batch->count++];
}

static size_t add_word(struct batch *batch, const char *word, size_t len)
{
    text_add(&batch->words, word, len);
    return len;
}

static size_t add_string(struct batch *batch, const char *string)
{
    return string == NULL ? 0 : add_word(batch, string, strlen(string));
}

static size_t add_nonces_key(struct batch *batch, const char *id)
{
    const struct key key = key_item(feed_channel(batch->feed), "nonces", id);
    return add_string(batch, key.text);
}

void outbox_add(struct outbox *outbox, struct feed *feed, const struct bus_say *say,
                redis_done done, void *arg)
{
    struct batch *batch = batch_of(outbox, feed);
    struct waiting *waiting = new_waiting(batch);
    text_reserve(&batch->words, say->body_len);
    waiting->done = done;
    waiting->arg = arg;
    waiting->has_nonce = say->nonce != NULL;
    waiting->len[0] = say->nonce == NULL ? 0 : add_nonces_key(batch, say->id);
    waiting->len[1] = add_word(batch, say->body, say->body_len);
    waiting->len[2] = add_string(batch, say->nonce);
    waiting->len[3] = add_string(batch, say->epoch);
}

/* --- Sending --- */

static void on_answered(void *arg, const struct redisReply *reply)
{
    struct batch *batch = arg;
    bool whole = redis_reply_is_error(reply); /* the same for all */
    for (size_t i = 0; i < batch->count; i++) {
        const struct waiting *waiting = &batch->waiting[i];
        waiting->done(waiting->arg, whole ? reply : redis_reply_at(reply, i));
    }
    text_done(&batch->words);
    free(batch->waiting);
    free(batch);
}

static void add_keys(struct script_call *call, const struct batch *batch)
{
    const char *at = batch->words.data;
    for (size_t i = 0; i < batch->count; i++) {
        const struct waiting *waiting = &batch->waiting[i];
        if (waiting->has_nonce) {
            redis_words_add(&call->words, at, waiting->len[0]);
            call->key_count++;
        }
        for (size_t word = 0; word < WORDS; word++)
            at += waiting->len[word];
    }
}

static void add_arguments(struct script_call *call, const struct batch *batch)
{
    const char *at = batch->words.data;
    for (size_t i = 0; i < batch->count; i++) {
        const struct waiting *waiting = &batch->waiting[i];
        at += waiting->len[0];
        for (size_t word = 1; word < WORDS; word++) {
            redis_words_add(&call->words, at, waiting->len[word]);
            at += waiting->len[word];
        }
    }
}

static void send_batch(struct batch *batch)
{
    struct bus *bus = feed_bus(batch->feed);
    const struct bus_numbers *numbers = bus_numbers(bus);
    struct script_call call = {.name = "publish"};
    struct bus_scratch scratch;
    bus_begin(bus, &call, &scratch, feed_channel(batch->feed));
    add_keys(&call, batch);
    bus_end_keys(&call, &scratch);
    redis_words_add_string(&call.words, numbers->most_nonces);
    redis_words_add_string(&call.words, numbers->nonce_ttl);
    add_arguments(&call, batch);
    if (script_run(bus_commands(bus), &call, on_answered, batch) != 0)
        on_answered(batch, NULL);
}

static struct batch *take_batch(struct outbox *outbox)
{
    if (list_is_empty(&outbox->batches))
        return NULL;
    struct batch *batch = LIST_ITEM(outbox->batches.next, struct batch, in_outbox);
    list_remove(&batch->in_outbox);
    *feed_outgoing(batch->feed) = NULL;
    return batch;
}

void outbox_flush(struct outbox *outbox)
{
    struct batch *batch;
    while ((batch = take_batch(outbox)) != NULL)
        send_batch(batch);
}

void outbox_stop(struct outbox *outbox)
{
    struct batch *batch;
    while (outbox != NULL && (batch = take_batch(outbox)) != NULL)
        on_answered(batch, NULL);
}
