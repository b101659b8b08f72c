#include "lane.h"

#include "clock.h"
#include "list.h"
#include "memory.h"

#include <assert.h>
#include <stdlib.h>

struct lane {
    struct redis *redis;
    struct link waiting;
    unsigned under_way, most;
};

struct call {
    struct link link;
    struct lane *lane;
    struct script_run *run; /* NULL once it was sent */
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

static int send_call(struct call *call)
{
    struct script_run *run = call->run;
    call->run = NULL;
    if (script_send(run, on_done, call) != 0)
        return -1;
    call->lane->under_way++;
    return 0;
}

static void send_next(struct lane *lane)
{
    while (lane->under_way < lane->most && !list_is_empty(&lane->waiting)) {
        struct call *call = LIST_ITEM(lane->waiting.next, struct call, link);
        list_remove(&call->link);
        if (send_call(call) != 0)
            end(call, NULL);
    }
}

/* All of them when the connection is lost; else those who have waited as long as the one who got no
 * answer. */
static void fail_waiting(struct lane *lane)
{
    int64_t now_ms = clock_monotonic_ms();
    while (!list_is_empty(&lane->waiting)) {
        struct call *call = LIST_ITEM(lane->waiting.next, struct call, link);
        if (redis_is_ready(lane->redis) && now_ms - call->asked_ms < REDIS_DEADLINE_MS)
            return;
        list_remove(&call->link);
        script_drop(call->run);
        end(call, NULL);
    }
}

static void on_done(void *arg, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct lane *lane = call->lane;
    lane->under_way--;
    end(call, reply);
    if (reply == NULL)
        fail_waiting(lane);
    send_next(lane);
}

bool lane_is_long(const struct lane *lane)
{
    return !list_is_empty(&lane->waiting);
}

int lane_run(struct lane *lane, struct script_call *call, redis_done done, void *arg)
{
    if (!redis_is_ready(lane->redis))
        return -1;
    struct call *kept = memory_new(sizeof *kept);
    *kept = (struct call){.lane = lane, .done = done, .arg = arg, .asked_ms = clock_monotonic_ms()};
    kept->run = script_prepare(lane->redis, call);
    list_init(&kept->link);
    if (lane->under_way == lane->most || lane_is_long(lane)) {
        list_add(&lane->waiting, &kept->link);
        return 0;
    }
    if (send_call(kept) == 0)
        return 0;
    free(kept);
    return -1;
}
