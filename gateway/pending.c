#include "pending.h"

#include "memory.h"

#include <stdlib.h>

struct pending_command {
    redis_done done; /* NULL: nobody waits (any more) */
    void *arg;
    int64_t deadline_ms;
    struct pending_command *next;
};

void pending_push(struct pending *pending, redis_done done, void *arg, int64_t deadline_ms)
{
    struct pending_command *command = memory_new(sizeof *command);
    *command = (struct pending_command){done, arg, deadline_ms, NULL};
    if (pending->first == NULL)
        pending->first = command;
    else
        pending->last->next = command;
    pending->last = command;
    if (pending->first_waiting == NULL)
        pending->first_waiting = command;
}

void pending_answer(struct pending *pending, const struct redisReply *reply)
{
    struct pending_command *command = pending->first;
    if (command == NULL)
        return;
    pending->first = command->next;
    if (pending->first_waiting == command)
        pending->first_waiting = command->next;
    if (command->done != NULL)
        command->done(command->arg, reply);
    free(command);
}

void pending_fail(struct pending *pending)
{
    while (pending->first != NULL)
        pending_answer(pending, NULL);
}

unsigned pending_expire(struct pending *pending, int64_t now_ms)
{
    unsigned count = 0;
    struct pending_command *late;
    while ((late = pending->first_waiting) != NULL && late->deadline_ms <= now_ms) {
        redis_done done = late->done;
        pending->first_waiting = late->next;
        late->done = NULL;
        count++;
        if (done != NULL)
            done(late->arg, NULL);
    }
    return count;
}

int64_t pending_deadline_ms(const struct pending *pending)
{
    return pending->first_waiting == NULL ? 0 : pending->first_waiting->deadline_ms;
}
