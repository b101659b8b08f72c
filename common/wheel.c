#include "wheel.h"

#include "memory.h"

#include <stdlib.h>

struct wheel {
    uint32_t now_s;
    unsigned size;
    unsigned at;
    struct link slots[];
};

struct wheel *wheel_new(unsigned longest_s, uint32_t now_s)
{
    unsigned size = longest_s + 1;
    struct wheel *wheel = memory_new(sizeof *wheel + size * sizeof wheel->slots[0]);
    wheel->size = size;
    wheel->now_s = now_s;
    for (unsigned i = 0; i < size; i++)
        list_init(&wheel->slots[i]);
    return wheel;
}

void wheel_free(struct wheel *wheel)
{
    free(wheel);
}

uint32_t wheel_now(const struct wheel *wheel)
{
    return wheel->now_s;
}

void wheel_add(struct wheel *wheel, struct link *item, unsigned in_s)
{
    if (in_s < 1)
        in_s = 1;
    if (in_s >= wheel->size)
        in_s = wheel->size - 1;
    list_remove(item);
    list_add(&wheel->slots[(wheel->at + in_s) % wheel->size], item);
}

/* Taken off as a whole first: `due` may add to the very slot that is being emptied. */
static void empty_slot(struct link *slot, void (*due)(struct link *item))
{
    struct link all;
    if (list_is_empty(slot))
        return;
    list_init(&all);
    list_add(slot, &all); /* `all` joins the ring, and the slot leaves it */
    list_remove(slot);
    while (!list_is_empty(&all)) {
        struct link *item = all.next;
        list_remove(item);
        due(item);
    }
}

void wheel_advance(struct wheel *wheel, uint32_t now_s, void (*due)(struct link *item))
{
    unsigned turns = now_s - wheel->now_s;
    if (turns > wheel->size)
        turns = wheel->size;
    for (; turns > 0; turns--) {
        wheel->now_s = now_s - turns + 1;
        wheel->at = (wheel->at + 1) % wheel->size;
        empty_slot(&wheel->slots[wheel->at], due);
    }
}

struct link *wheel_any(struct wheel *wheel)
{
    for (unsigned i = 0; i < wheel->size; i++)
        if (!list_is_empty(&wheel->slots[i]))
            return wheel->slots[i].next;
    return NULL;
}
