#include "redis/limiter.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

struct limiter {
    struct redis *redis;
    struct link waiting;
    unsigned permits, permits_in_use; /* calls under way; a long call takes several */
    bool making;                      /* `make` of a waiting call is running */
};

struct call {
    struct link link;
    struct limiter *limiter;
    struct script_run *run;  /* NULL once it was sent */
    void (*make)(void *arg); /* instead, for one that is made when it may be sent */
    unsigned permits;
    redis_done done;
    void *arg;
    int64_t asked_ms;
};

struct limiter *limiter_new(struct redis *redis, unsigned permits)
{
    struct limiter *limiter = memory_new(sizeof *limiter);
    limiter->redis = redis;
    limiter->permits = permits;
    list_init(&limiter->waiting);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    assert(limiter == NULL || list_is_empty(&limiter->waiting));
    free(limiter);
}

static void end_call(void *arg, const struct redis_reply *reply)
{
    struct call *call = arg;
    if (call->done != NULL)
        call->done(call->arg, reply);
    free(call);
}

static void on_call_done(void *arg, const struct redis_reply *reply);

static int send_limited(struct call *call)
{
    struct script_run *run = call->run;
    call->run = NULL;
    if (script_send(run, on_call_done, call) != 0)
        return -1;
    call->limiter->permits_in_use += call->permits;
    return 0;
}

static void make_limited(struct call *call)
{
    struct limiter *limiter = call->limiter;
    limiter->making = true;
    call->make(call->arg);
    limiter->making = false;
    free(call);
}

void limiter_flush(struct limiter *limiter)
{
    while (limiter->permits_in_use < limiter->permits && !list_is_empty(&limiter->waiting)) {
        struct call *call = LIST_ITEM(limiter->waiting.next, struct call, link);
        list_remove(&call->link);
        if (call->make != NULL)
            make_limited(call);
        else if (send_limited(call) != 0)
            redis_fail(limiter->redis, end_call, call);
    }
}

void limiter_stop(struct limiter *limiter)
{
    while (!list_is_empty(&limiter->waiting)) {
        struct call *call = LIST_ITEM(limiter->waiting.next, struct call, link);
        list_remove(&call->link);
        if (call->make != NULL) {
            make_limited(call);
            continue;
        }
        script_drop(call->run);
        end_call(call, NULL);
    }
}

/* Those who have waited as long as the one who got no answer. What is still to be made has not been
 * asked yet. */
static void fail_waiting(struct limiter *limiter)
{
    int64_t now_ms = clock_monotonic_ms();
    struct link *next;
    for (struct link *at = limiter->waiting.next; at != &limiter->waiting; at = next) {
        struct call *call = LIST_ITEM(at, struct call, link);
        next = at->next;
        if (now_ms - call->asked_ms < REDIS_DEADLINE_MS)
            return;
        if (call->make != NULL)
            continue;
        list_remove(&call->link);
        script_drop(call->run);
        end_call(call, NULL);
    }
}

static void on_call_done(void *arg, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct limiter *limiter = call->limiter;
    limiter->permits_in_use -= call->permits;
    end_call(call, reply);
    if (reply == NULL && redis_is_ready(limiter->redis))
        fail_waiting(limiter);
    limiter_flush(limiter);
}

bool limiter_is_congested(const struct limiter *limiter)
{
    return !list_is_empty(&limiter->waiting);
}

static struct call *new_call(struct limiter *limiter, void *arg)
{
    struct call *call = memory_new(sizeof *call);
    *call = (struct call){.limiter = limiter, .arg = arg, .asked_ms = clock_monotonic_ms()};
    list_init(&call->link);
    return call;
}

int limiter_enqueue(struct limiter *limiter, void (*make)(void *arg), void *arg)
{
    if (!redis_is_ready(limiter->redis))
        return -1;
    struct call *call = new_call(limiter, arg);
    call->make = make;
    list_add(&limiter->waiting, &call->link);
    return 0;
}

int limiter_run(struct limiter *limiter, struct script_call *call, unsigned permits,
                redis_done done, void *arg)
{
    struct script_run *run = script_prepare(limiter->redis, call);
    if (!redis_is_ready(limiter->redis)) {
        script_drop(run);
        return -1;
    }
    struct call *kept = new_call(limiter, arg);
    kept->done = done;
    kept->permits = permits;
    kept->run = run;
    if (!limiter->making &&
        (limiter->permits_in_use >= limiter->permits || limiter_is_congested(limiter))) {
        list_add(&limiter->waiting, &kept->link);
        return 0;
    }
    if (send_limited(kept) == 0)
        return 0;
    free(kept);
    return -1;
}
