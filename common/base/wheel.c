#include "base/wheel.h"

#include "base/memory.h"

#include <stdlib.h>

struct wheel {
    uint32_t now;
    unsigned size;
    unsigned at;
    struct link slots[];
};

struct wheel *wheel_new(unsigned longest, uint32_t now)
{
    unsigned size = longest + 1;
    struct wheel *wheel = memory_new(sizeof *wheel + size * sizeof wheel->slots[0]);
    wheel->size = size;
    wheel->now = now;
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
    return wheel->now;
}

void wheel_add(struct wheel *wheel, struct link *item, unsigned ticks)
{
    if (ticks < 1)
        ticks = 1;
    if (ticks >= wheel->size)
        ticks = wheel->size - 1;
    list_remove(item);
    list_add(&wheel->slots[(wheel->at + ticks) % wheel->size], item);
}

/* Taken off as a whole first: what comes up may be put into the very slot that is being emptied. */
static void empty_slot(struct link *slot, void (*each)(struct link *item))
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
        each(item);
    }
}

void wheel_advance(struct wheel *wheel, uint32_t now, void (*due)(struct link *item))
{
    unsigned ticks = now - wheel->now;
    if (ticks > wheel->size)
        ticks = wheel->size;
    for (; ticks > 0; ticks--) {
        wheel->now = now - ticks + 1;
        wheel->at = (wheel->at + 1) % wheel->size;
        empty_slot(&wheel->slots[wheel->at], due);
    }
}

void wheel_empty(struct wheel *wheel, void (*each)(struct link *item))
{
    for (unsigned i = 0; i < wheel->size; i++)
        empty_slot(&wheel->slots[i], each);
}
