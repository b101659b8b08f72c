#include "history/presence_batch.h"

#include "base/memory.h"
#include "protocol/message.h"

#include <stdlib.h>
#include <string.h>

struct batched {
    char *id;
    char *json;
};

struct side {
    struct batched *people; /* MESSAGE_PRESENCE_NAMES of them; NULL before the first */
    size_t count;
    uint64_t total; /* with those that a message cannot name */
};

struct presence_batch {
    struct side joined, left;
    size_t seen; /* so many of the joined, the first, are in somebody's list already */
    size_t gone; /* so many were in somebody's list, and have left again */
    uint64_t seq, count;
    bool open;
};

struct presence_batch *presence_batch_new(void)
{
    return memory_new(sizeof(struct presence_batch));
}

static void free_person(struct batched *person)
{
    free(person->id);
    free(person->json);
}

static void clear(struct side *side)
{
    for (size_t i = 0; i < side->count; i++)
        free_person(&side->people[i]);
    free(side->people);
    *side = (struct side){0};
}

void presence_batch_free(struct presence_batch *batch)
{
    if (batch == NULL)
        return;
    clear(&batch->joined);
    clear(&batch->left);
    free(batch);
}

bool presence_batch_is_open(const struct presence_batch *batch)
{
    return batch->open;
}

bool presence_batch_is_full(const struct presence_batch *batch)
{
    return batch->joined.total > batch->joined.count || batch->left.total > batch->left.count;
}

static void add_person(struct side *side, const struct message_person *person)
{
    side->total++;
    if (side->count == MESSAGE_PRESENCE_NAMES)
        return;
    if (side->people == NULL)
        side->people = memory_new(MESSAGE_PRESENCE_NAMES * sizeof side->people[0]);
    side->people[side->count++] =
        (struct batched){memory_copy_string(person->id), memory_copy_string(person->json)};
}

/* Where in the side the person is; its count when it is not there. */
static size_t find_person(const struct side *side, const char *id)
{
    size_t at = 0;
    while (at < side->count && strcmp(side->people[at].id, id) != 0)
        at++;
    return at;
}

/* The others keep their order. */
static void take_out(struct side *side, size_t at)
{
    free_person(&side->people[at]);
    side->count--;
    side->total--;
    memmove(&side->people[at], &side->people[at + 1], (side->count - at) * sizeof side->people[0]);
}

/* Who came and went unseen is left out. */
static void leave(struct presence_batch *batch, const struct message_person *person)
{
    size_t at = find_person(&batch->joined, person->id);
    bool unseen = at >= batch->seen && at < batch->joined.count;
    batch->gone += at < batch->seen;
    batch->seen -= at < batch->seen;
    if (at < batch->joined.count)
        take_out(&batch->joined, at);
    if (!unseen)
        add_person(&batch->left, person);
}

void presence_batch_seen(struct presence_batch *batch)
{
    batch->seen = batch->joined.count;
}

void presence_batch_add(struct presence_batch *batch, const struct room_event *event)
{
    for (size_t i = 0; i < event->left_count; i++)
        leave(batch, &event->left[i]);
    for (size_t i = 0; i < event->joined_count; i++)
        add_person(&batch->joined, &event->joined[i]);
    batch->seq = event->seq;
    batch->count = event->count;
    batch->open = true;
}

static char *write_side(const struct side *side)
{
    struct text out = TEXT_EMPTY;
    for (size_t i = 0; i < side->count; i++) {
        if (out.len > 0)
            text_add_string(&out, ",");
        text_add_string(&out, side->people[i].json);
    }
    return text_take(&out);
}

void presence_batch_write(const struct presence_batch *batch, struct text *out)
{
    char *joined = write_side(&batch->joined);
    char *left = write_side(&batch->left);
    const struct message_presence presence = {
        .seq = batch->seq,
        .count = batch->count,
        .came = batch->joined.total + batch->gone,
        .went = batch->left.total,
        .joined = joined,
        .left = left,
    };
    message_add_presence(out, &presence);
    free(joined);
    free(left);
}

void presence_batch_clear(struct presence_batch *batch)
{
    clear(&batch->joined);
    clear(&batch->left);
    *batch = (struct presence_batch){0};
}
