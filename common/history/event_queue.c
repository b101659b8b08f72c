#include "history/event_queue.h"

#include "base/memory.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void event_queue_add(struct event_queue *queue, const struct room_event *event)
{
    if (queue->count == EVENT_QUEUE_MOST) {
        queue->overflowed = true;
        return;
    }
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? FIRST_CAPACITY : queue->capacity * 2;
        queue->items = memory_resize(queue->items, queue->capacity, sizeof *queue->items);
    }
    queue->items[queue->count++] = (struct queued_event){
        .seq = event->seq,
        .message = event->type == EVENT_MESSAGE,
        .len = event->len,
        .json = memory_copy(event->json, event->len),
    };
}

void event_queue_clear(struct event_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        free(queue->items[i].json);
    free(queue->items);
    *queue = (struct event_queue){0};
}
