#include "redis/limiter.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

struct lane {
    struct redis *redis;
    struct link waiting;
    unsigned under_way, most;
    bool in_turn; /* a call is being made whose turn it is */
};

struct call {
    struct link link;
    struct lane *lane;
    struct script_run *run;  /* NULL once it was sent */
    void (*make)(void *arg); /* instead, for one that stands in line to be made */
    unsigned weight;
    redis_done done;
    void *arg;
    int64_t asked_ms;
};

struct lane *lane_new(struct redis *redis, unsigned most)
{
    struct lane *lane = memory_new(sizeof *lane);
    lane->redis = redis;
    lane->most = most;
    list_init(&lane->waiting);
    return lane;
}

void lane_free(struct lane *lane)
{
    assert(lane == NULL || list_is_empty(&lane->waiting));
    free(lane);
}

static void end(struct call *call, const struct redis_reply *reply)
{
    if (call->done != NULL)
        call->done(call->arg, reply);
    free(call);
}

static void on_done(void *arg, const struct redis_reply *reply);

static void on_failed(void *arg, const struct redis_reply *reply)
{
    end(arg, reply);
}

static int send_call(struct call *call)
{
    struct script_run *run = call->run;
    call->run = NULL;
    if (script_send(run, on_done, call) != 0)
        return -1;
    call->lane->under_way += call->weight;
    return 0;
}

static void make_call(struct call *call)
{
    struct lane *lane = call->lane;
    lane->in_turn = true;
    call->make(call->arg);
    lane->in_turn = false;
    free(call);
}

void lane_go(struct lane *lane)
{
    while (lane->under_way < lane->most && !list_is_empty(&lane->waiting)) {
        struct call *call = LIST_ITEM(lane->waiting.next, struct call, link);
        list_remove(&call->link);
        if (call->make != NULL)
            make_call(call);
        else if (send_call(call) != 0)
            redis_fail(lane->redis, on_failed, call);
    }
}

void lane_stop(struct lane *lane)
{
    while (!list_is_empty(&lane->waiting)) {
        struct call *call = LIST_ITEM(lane->waiting.next, struct call, link);
        list_remove(&call->link);
        if (call->make != NULL) {
            make_call(call);
            continue;
        }
        script_drop(call->run);
        end(call, NULL);
    }
}

/* Those who have waited as long as the one who got no answer. What is still to be made has not been
 * asked yet. */
static void fail_waiting(struct lane *lane)
{
    int64_t now_ms = clock_monotonic_ms();
    struct link *next;
    for (struct link *at = lane->waiting.next; at != &lane->waiting; at = next) {
        struct call *call = LIST_ITEM(at, struct call, link);
        next = at->next;
        if (now_ms - call->asked_ms < REDIS_DEADLINE_MS)
            return;
        if (call->make != NULL)
            continue;
        list_remove(&call->link);
        script_drop(call->run);
        end(call, NULL);
    }
}

static void on_done(void *arg, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct lane *lane = call->lane;
    lane->under_way -= call->weight;
    end(call, reply);
    if (reply == NULL && redis_is_ready(lane->redis))
        fail_waiting(lane);
    lane_go(lane);
}

bool lane_is_long(const struct lane *lane)
{
    return !list_is_empty(&lane->waiting);
}

static struct call *new_call(struct lane *lane, void *arg)
{
    struct call *call = memory_new(sizeof *call);
    *call = (struct call){.lane = lane, .arg = arg, .asked_ms = clock_monotonic_ms()};
    list_init(&call->link);
    return call;
}

int lane_stand(struct lane *lane, void (*make)(void *arg), void *arg)
{
    if (!redis_is_ready(lane->redis))
        return -1;
    struct call *call = new_call(lane, arg);
    call->make = make;
    list_add(&lane->waiting, &call->link);
    return 0;
}

int lane_run(struct lane *lane, struct script_call *call, unsigned weight, redis_done done,
             void *arg)
{
    struct script_run *run = script_prepare(lane->redis, call);
    if (!redis_is_ready(lane->redis)) {
        script_drop(run);
        return -1;
    }
    struct call *kept = new_call(lane, arg);
    kept->done = done;
    kept->weight = weight;
    kept->run = run;
    if (!lane->in_turn && (lane->under_way >= lane->most || lane_is_long(lane))) {
        list_add(&lane->waiting, &kept->link);
        return 0;
    }
    if (send_call(kept) == 0)
        return 0;
    free(kept);
    return -1;
}
