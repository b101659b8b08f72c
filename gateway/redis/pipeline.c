#include "redis/pipeline.h"

#include "base/memory.h"

#include <stdlib.h>

enum { SMALLEST = 16, LARGEST_KEPT = 4096, HELD_UP_MS = 1000 };

struct pipeline_command {
    redis_done done; /* NULL: nobody waits (any more) */
    void *arg;
    int64_t deadline_ms;
    bool optional;     /* to be refused is no fault */
    bool behind_error; /* an error is of something else */
};

static struct pipeline_command *at(const struct pipeline *pipeline, uint64_t number)
{
    return &pipeline->ring[number & (pipeline->size - 1)];
}

void pipeline_done(struct pipeline *pipeline)
{
    free(pipeline->ring);
    *pipeline = (struct pipeline){0};
}

static void grow(struct pipeline *pipeline)
{
    struct pipeline old = *pipeline;
    pipeline->size = old.size == 0 ? SMALLEST : old.size * 2;
    pipeline->ring = memory_resize(NULL, pipeline->size, sizeof *pipeline->ring);
    for (uint64_t number = old.first; number < old.next; number++)
        *at(pipeline, number) = *at(&old, number);
    free(old.ring);
}

void pipeline_push(struct pipeline *pipeline, redis_done done, void *arg, int64_t deadline_ms)
{
    if (pipeline->next - pipeline->first == pipeline->size)
        grow(pipeline);
    *at(pipeline, pipeline->next++) =
        (struct pipeline_command){done, arg, deadline_ms, false, false};
}

void pipeline_move(struct pipeline *pipeline, struct pipeline *more)
{
    for (; more->first != more->next; more->first++) {
        const struct pipeline_command *command = at(more, more->first);
        pipeline_push(pipeline, command->done, command->arg, command->deadline_ms);
        at(pipeline, pipeline->next - 1)->optional = command->optional;
    }
    pipeline_done(more);
}

void pipeline_mark_last_optional(struct pipeline *pipeline)
{
    at(pipeline, pipeline->next - 1)->optional = true;
}

bool pipeline_is_optional(const struct pipeline *pipeline)
{
    return pipeline->first != pipeline->next && at(pipeline, pipeline->first)->optional;
}

void pipeline_mark_last_behind_error(struct pipeline *pipeline)
{
    at(pipeline, pipeline->next - 1)->behind_error = true;
}

bool pipeline_is_behind_error(const struct pipeline *pipeline)
{
    return pipeline->first != pipeline->next && at(pipeline, pipeline->first)->behind_error;
}

void pipeline_answer(struct pipeline *pipeline, const struct redis_reply *reply)
{
    if (pipeline->first == pipeline->next)
        return;
    struct pipeline_command command = *at(pipeline, pipeline->first++);
    if (pipeline->waiting < pipeline->first)
        pipeline->waiting = pipeline->first;
    if (pipeline->first == pipeline->next && pipeline->size > LARGEST_KEPT)
        pipeline_done(pipeline); /* after a burst */
    if (command.done != NULL)
        command.done(command.arg, reply);
}

void pipeline_fail(struct pipeline *pipeline)
{
    while (pipeline->first != pipeline->next)
        pipeline_answer(pipeline, NULL);
}

/* The answers to what is overdue may be there already, unread. */
static void extend_deadlines(struct pipeline *pipeline, int64_t now_ms)
{
    for (uint64_t number = pipeline->waiting; number < pipeline->next; number++)
        if (at(pipeline, number)->deadline_ms <= now_ms)
            at(pipeline, number)->deadline_ms = now_ms + HELD_UP_MS;
}

unsigned pipeline_expire(struct pipeline *pipeline, int64_t now_ms)
{
    unsigned count = 0;
    if (pipeline->waiting < pipeline->next &&
        now_ms - at(pipeline, pipeline->waiting)->deadline_ms > HELD_UP_MS)
        extend_deadlines(pipeline, now_ms);
    while (pipeline->waiting < pipeline->next &&
           at(pipeline, pipeline->waiting)->deadline_ms <= now_ms) {
        struct pipeline_command *late = at(pipeline, pipeline->waiting++);
        struct pipeline_command command = *late;
        late->done = NULL;
        count++;
        if (command.done != NULL)
            command.done(command.arg, NULL);
    }
    return count;
}

int64_t pipeline_deadline_ms(const struct pipeline *pipeline)
{
    return pipeline->waiting == pipeline->next ? 0 : at(pipeline, pipeline->waiting)->deadline_ms;
}
