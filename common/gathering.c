#include "gathering.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

struct gathered {
    char *id;
    char *json;
};

struct side {
    struct gathered *people; /* MESSAGE_PRESENCE_NAMES of them; NULL before the first */
    size_t count;
};

struct gathering {
    struct side joined, left;
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

static void add(struct side *side, const struct message_person *person)
{
    if (side->count == MESSAGE_PRESENCE_NAMES)
        return;
    if (side->people == NULL)
        side->people = memory_new(MESSAGE_PRESENCE_NAMES * sizeof side->people[0]);
    side->people[side->count++] =
        (struct gathered){memory_copy_string(person->id), memory_copy_string(person->json)};
}

/* Takes the person out; false when it is not there. The others keep their order. */
static bool take_out(struct side *side, const char *id)
{
    for (size_t i = 0; i < side->count; i++) {
        if (strcmp(side->people[i].id, id) != 0)
            continue;
        free_person(&side->people[i]);
        side->count--;
        memmove(&side->people[i], &side->people[i + 1], (side->count - i) * sizeof side->people[0]);
        return true;
    }
    return false;
}

void gathering_add(struct gathering *gathering, const struct room_event *event)
{
    for (size_t i = 0; i < event->left_count; i++)
        if (!take_out(&gathering->joined, event->left[i].id))
            add(&gathering->left, &event->left[i]);
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
        if (i > 0)
            text_add_string(&out, ",");
        text_add_string(&out, side->people[i].json);
    }
    return text_take(&out);
}

void gathering_take(struct gathering *gathering, struct text *out)
{
    char *joined = write_side(&gathering->joined);
    char *left = write_side(&gathering->left);
    const struct message_presence presence = {gathering->seq, gathering->count, joined, left};
    message_add_presence(out, &presence);
    free(joined);
    free(left);
    clear(&gathering->joined);
    clear(&gathering->left);
    gathering->open = false;
}
