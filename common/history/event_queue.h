/* event_queue: numbered events that wait, as the bytes they came as. Bounded: what does not fit is
 * dropped, and the queue says so; Redis keeps the events, and they are read again. */
#ifndef YUKIZURI_HISTORY_EVENT_QUEUE_H
#define YUKIZURI_HISTORY_EVENT_QUEUE_H

#include "protocol/room_event.h"

enum { EVENT_QUEUE_MOST = 4096 };

struct queued_event {
    uint64_t seq;
    bool message;
    size_t len;
    char *json; /* the queue's own */
};

/* All zeroes is an empty queue. */
struct event_queue {
    struct queued_event *items;
    size_t count, capacity;
    bool overflowed;
};

void event_queue_add(struct event_queue *queue, const struct room_event *event);
void event_queue_clear(struct event_queue *queue);

#endif
