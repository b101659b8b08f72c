#include "history/presence_batch.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct gathered {
    char *id;
    char *json;
};

struct side {
    struct gathered *people; /* MESSAGE_PRESENCE_NAMES of them; NULL before the first */
    size_t count;
    bool full; /* others were left out */
};

struct gathering {
    struct side joined, left;
    size_t seen; /* so many of the joined, the first, are in somebody's list already */
    uint64_t seq, count;
    bool open;
};

struct gathering *gathering_new(void)
{
    return memory_new(sizeof(struct gathering));
}

static void free_person(struct gathered *person)
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

void gathering_free(struct gathering *gathering)
{
    if (gathering == NULL)
        return;
    clear(&gathering->joined);
    clear(&gathering->left);
    free(gathering);
}

bool gathering_is_open(const struct gathering *gathering)
{
    return gathering->open;
}

bool gathering_is_full(const struct gathering *gathering)
{
    return gathering->joined.full || gathering->left.full;
}

static void add(struct side *side, const struct message_person *person)
{
    if (side->count == MESSAGE_PRESENCE_NAMES) {
        side->full = true;
        return;
    }
    if (side->people == NULL)
        side->people = memory_new(MESSAGE_PRESENCE_NAMES * sizeof side->people[0]);
    side->people[side->count++] =
        (struct gathered){memory_copy_string(person->id), memory_copy_string(person->json)};
}

/* Where in the side the person is; its count when it is not there. */
static size_t find(const struct side *side, const char *id)
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
    memmove(&side->people[at], &side->people[at + 1], (side->count - at) * sizeof side->people[0]);
}

/* Who came and went unseen is not worth a word. */
static void leave(struct gathering *gathering, const struct message_person *person)
{
    size_t at = find(&gathering->joined, person->id);
    bool unseen = at >= gathering->seen && at < gathering->joined.count;
    gathering->seen -= at < gathering->seen;
    if (at < gathering->joined.count)
        take_out(&gathering->joined, at);
    if (!unseen)
        add(&gathering->left, person);
}

void gathering_seen(struct gathering *gathering)
{
    gathering->seen = gathering->joined.count;
}

void gathering_add(struct gathering *gathering, const struct room_event *event)
{
    for (size_t i = 0; i < event->left_count; i++)
        leave(gathering, &event->left[i]);
    for (size_t i = 0; i < event->joined_count; i++)
        add(&gathering->joined, &event->joined[i]);
    gathering->seq = event->seq;
    gathering->count = event->count;
    gathering->open = true;
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

void gathering_write(const struct gathering *gathering, struct text *out)
{
    char *joined = write_side(&gathering->joined);
    char *left = write_side(&gathering->left);
    const struct message_presence presence = {gathering->seq, gathering->count, joined, left};
    message_add_presence(out, &presence);
    free(joined);
    free(left);
}

void gathering_clear(struct gathering *gathering)
{
    clear(&gathering->joined);
    clear(&gathering->left);
    *gathering = (struct gathering){0};
}
