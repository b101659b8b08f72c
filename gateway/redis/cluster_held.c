#include "redis/cluster_held.h"

#include "base/memory.h"
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

struct cluster_held_slots {
    struct link all;
    struct table *by_slot;
};

static struct table_key slot_of(const void *value)
{
    const struct cluster_held *held = value;
    return (struct table_key){&held->slot, sizeof held->slot};
}

struct cluster_held_slots *cluster_held_new(void)
{
    struct cluster_held_slots *slots = memory_new(sizeof *slots);
    list_init(&slots->all);
    slots->by_slot = table_new(slot_of);
    return slots;
}

void cluster_held_free(struct cluster_held_slots *slots)
{
    assert(list_is_empty(&slots->all));
    table_free(slots->by_slot);
    free(slots);
}

struct cluster_held *cluster_held_find(const struct cluster_held_slots *slots, unsigned slot)
{
    return list_is_empty(&slots->all) ? NULL : table_find(slots->by_slot, &slot, sizeof slot);
}

struct cluster_held *cluster_held_open(struct cluster_held_slots *slots, unsigned slot)
{
    struct cluster_held *held = memory_new(sizeof *held);
    held->slot = slot;
    list_init(&held->commands);
    list_init(&held->later);
    list_init(&held->in_all);
    list_add(&slots->all, &held->in_all);
    table_add(slots->by_slot, held);
    return held;
}

void cluster_held_close(struct cluster_held_slots *slots, struct cluster_held *held)
{
    assert(list_is_empty(&held->commands) && list_is_empty(&held->later));
    table_remove(slots->by_slot, held);
    list_remove(&held->in_all);
    free(held);
}

struct cluster_held *cluster_held_next(const struct cluster_held_slots *slots,
                                       const struct cluster_held *held)
{
    const struct link *at = held == NULL ? slots->all.next : held->in_all.next;
    return at == &slots->all ? NULL : LIST_ITEM(at, struct cluster_held, in_all);
}

bool cluster_held_is_open(const struct cluster_held *held)
{
    return held->fence == NULL || held->fence->answered >= held->fence_number;
}

static struct cluster_command *first_of(const struct link *list)
{
    return list_is_empty(list) ? NULL : LIST_ITEM(list->next, struct cluster_command, in_slot);
}

static void move_first(struct link *from, struct link *to)
{
    struct link *first = from->next;
    list_remove(first);
    list_add(to, first);
}

struct cluster_command *cluster_held_first(struct cluster_held *held)
{
    while (cluster_held_is_open(held) && !list_is_empty(&held->later))
        move_first(&held->later, &held->commands);
    return first_of(&held->commands);
}

struct cluster_command *cluster_held_any(const struct cluster_held *held)
{
    struct cluster_command *first = first_of(&held->commands);
    return first != NULL ? first : first_of(&held->later);
}

uint64_t cluster_held_last_number(const struct cluster_held *held)
{
    const struct link *last = held->commands.previous;
    return last == &held->commands ? 0 : LIST_ITEM(last, struct cluster_command, in_slot)->number;
}

void cluster_held_add(struct cluster_held *held, struct cluster_command *command)
{
    list_add(&held->later, &command->in_slot);
}

void cluster_held_take_back(struct cluster_held *held, struct cluster_command *command,
                            struct cluster_link *link)
{
    list_add(&held->commands, &command->in_slot);
    if (!cluster_held_is_open(held))
        return; /* of the same link: nothing of this slot was sent over it since */
    held->fence = link;
    held->fence_number = link->sent;
}

void cluster_held_forget_link(struct cluster_held_slots *slots, const struct cluster_link *link)
{
    struct cluster_held *held = NULL;
    while ((held = cluster_held_next(slots, held)) != NULL)
        if (held->fence == link)
            held->fence = NULL;
}
