#include "redis/pipeline.h"

#include "base/memory.h"

#include <stdlib.h>

enum { SMALLEST = 16, LARGEST_KEPT = 4096, HELD_UP_MS = 1000 };

struct pending_command {
    redis_done done; /* NULL: nobody waits (any more) */
    void *arg;
    int64_t deadline_ms;
    bool excused; /* to be refused is no fault */
};

static struct pending_command *at(const struct pending *pending, uint64_t number)
{
    return &pending->ring[number & (pending->size - 1)];
}

void pending_done(struct pending *pending)
{
    free(pending->ring);
    *pending = (struct pending){0};
}

static void grow(struct pending *pending)
{
    struct pending old = *pending;
    pending->size = old.size == 0 ? SMALLEST : old.size * 2;
    pending->ring = memory_resize(NULL, pending->size, sizeof *pending->ring);
    for (uint64_t number = old.first; number < old.next; number++)
        *at(pending, number) = *at(&old, number);
    free(old.ring);
}

void pending_push(struct pending *pending, redis_done done, void *arg, int64_t deadline_ms)
{
    if (pending->next - pending->first == pending->size)
        grow(pending);
    *at(pending, pending->next++) = (struct pending_command){done, arg, deadline_ms, false};
}

void pending_excuse_last(struct pending *pending)
{
    at(pending, pending->next - 1)->excused = true;
}

bool pending_is_excused(const struct pending *pending)
{
    return pending->first != pending->next && at(pending, pending->first)->excused;
}

void pending_answer(struct pending *pending, const struct redis_reply *reply)
{
    if (pending->first == pending->next)
        return;
    struct pending_command command = *at(pending, pending->first++);
    if (pending->waiting < pending->first)
        pending->waiting = pending->first;
    if (pending->first == pending->next && pending->size > LARGEST_KEPT)
        pending_done(pending); /* after a burst */
    if (command.done != NULL)
        command.done(command.arg, reply);
}

void pending_fail(struct pending *pending)
{
    while (pending->first != pending->next)
        pending_answer(pending, NULL);
}

/* The answers to what is overdue may be there already, unread. */
static void extend_deadlines(struct pending *pending, int64_t now_ms)
{
    for (uint64_t number = pending->waiting; number < pending->next; number++)
        if (at(pending, number)->deadline_ms <= now_ms)
            at(pending, number)->deadline_ms = now_ms + HELD_UP_MS;
}

unsigned pending_expire(struct pending *pending, int64_t now_ms)
{
    unsigned count = 0;
    if (pending->waiting < pending->next &&
        now_ms - at(pending, pending->waiting)->deadline_ms > HELD_UP_MS)
        extend_deadlines(pending, now_ms);
    while (pending->waiting < pending->next &&
           at(pending, pending->waiting)->deadline_ms <= now_ms) {
        struct pending_command *late = at(pending, pending->waiting++);
        struct pending_command command = *late;
        late->done = NULL;
        count++;
        if (command.done != NULL)
            command.done(command.arg, NULL);
    }
    return count;
}

int64_t pending_deadline_ms(const struct pending *pending)
{
    return pending->waiting == pending->next ? 0 : at(pending, pending->waiting)->deadline_ms;
}
