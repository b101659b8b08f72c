#include "redis/limiter.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "redis/cluster_slot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 }; /* of more nodes some share one */

struct lane {
    struct link waiting;
    unsigned permits_in_use; /* calls under way; a long call takes several */
    bool silent;             /* the last call got no answer */
};

/* A slot of a cluster: its calls stay in one lane as long as any of them waits there, wherever the
 * slot has moved meanwhile. */
struct slot {
    unsigned waiting;
    unsigned lane;
};

struct limiter {
    struct redis *redis;
    struct slot *slots; /* CLUSTER_SLOTS of them; NULL without a cluster */
    struct lane lanes[LANES];
    unsigned permits; /* of each lane */
    bool making;      /* `make` of a waiting call is running */
};

struct call {
    struct link link;
    struct limiter *limiter;
    struct lane *lane;
    struct slot *slot;       /* NULL without a cluster */
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
    if (redis_is_cluster(redis))
        limiter->slots = memory_new(CLUSTER_SLOTS * sizeof *limiter->slots);
    for (size_t i = 0; i < LANES; i++)
        list_init(&limiter->lanes[i].waiting);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (limiter == NULL)
        return;
    for (size_t i = 0; i < LANES; i++)
        assert(list_is_empty(&limiter->lanes[i].waiting));
    free(limiter->slots);
    free(limiter);
}

/* --- Waiting --- */

static void add_waiting(struct call *call)
{
    list_add(&call->lane->waiting, &call->link);
    if (call->slot != NULL)
        call->slot->waiting++;
}

static void remove_waiting(struct call *call)
{
    list_remove(&call->link);
    if (call->slot != NULL)
        call->slot->waiting--;
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
    call->lane->permits_in_use += call->permits;
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

static void flush_lane(struct limiter *limiter, struct lane *lane)
{
    while (lane->permits_in_use < limiter->permits && !list_is_empty(&lane->waiting)) {
        struct call *call = LIST_ITEM(lane->waiting.next, struct call, link);
        remove_waiting(call);
        if (call->make != NULL)
            make_limited(call);
        else if (send_limited(call) != 0)
            redis_fail(limiter->redis, end_call, call);
    }
}

void limiter_flush(struct limiter *limiter)
{
    for (size_t i = 0; i < LANES; i++)
        flush_lane(limiter, &limiter->lanes[i]);
}

static void stop_lane(struct lane *lane)
{
    while (!list_is_empty(&lane->waiting)) {
        struct call *call = LIST_ITEM(lane->waiting.next, struct call, link);
        remove_waiting(call);
        if (call->make != NULL) {
            make_limited(call);
            continue;
        }
        script_drop(call->run);
        end_call(call, NULL);
    }
}

void limiter_stop(struct limiter *limiter)
{
    for (size_t i = 0; i < LANES; i++)
        stop_lane(&limiter->lanes[i]);
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
        remove_waiting(call);
        script_drop(call->run);
        end_call(call, NULL);
    }
}

static void on_call_done(void *arg, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct limiter *limiter = call->limiter;
    struct lane *lane = call->lane;
    lane->permits_in_use -= call->permits;
    lane->silent = reply == NULL;
    end_call(call, reply);
    if (reply == NULL && redis_is_ready(limiter->redis))
        fail_waiting(lane);
    flush_lane(limiter, lane);
}

bool limiter_is_congested(const struct limiter *limiter)
{
    for (size_t i = 0; i < LANES; i++)
        if (!limiter->lanes[i].silent && !list_is_empty(&limiter->lanes[i].waiting))
            return true;
    return false;
}

static void find_lane(struct call *call, const char *key, size_t len)
{
    struct limiter *limiter = call->limiter;
    call->lane = &limiter->lanes[0];
    if (limiter->slots == NULL)
        return;
    call->slot = &limiter->slots[cluster_slot(key, len)];
    if (call->slot->waiting == 0)
        call->slot->lane = (unsigned)(redis_node_of(limiter->redis, key, len) % LANES);
    call->lane = &limiter->lanes[call->slot->lane];
}

static struct call *new_call(struct limiter *limiter, void *arg)
{
    struct call *call = memory_new(sizeof *call);
    *call = (struct call){.limiter = limiter, .arg = arg, .asked_ms = clock_monotonic_ms()};
    list_init(&call->link);
    return call;
}

int limiter_enqueue(struct limiter *limiter, const char *key, void (*make)(void *arg), void *arg)
{
    if (!redis_is_ready(limiter->redis))
        return -1;
    struct call *call = new_call(limiter, arg);
    find_lane(call, key, strlen(key));
    call->make = make;
    add_waiting(call);
    return 0;
}

int limiter_run(struct limiter *limiter, struct script_call *call, unsigned permits,
                redis_done done, void *arg)
{
    struct call *kept = new_call(limiter, arg);
    size_t len = 0;
    const char *key = redis_words_at(&call->keys, 0, &len);
    find_lane(kept, key == NULL ? "" : key, len);
    struct script_run *run = script_prepare(limiter->redis, call);
    if (!redis_is_ready(limiter->redis)) {
        script_drop(run);
        free(kept);
        return -1;
    }
    kept->done = done;
    kept->permits = permits;
    kept->run = run;
    if (!limiter->making &&
        (kept->lane->permits_in_use >= limiter->permits || !list_is_empty(&kept->lane->waiting))) {
        add_waiting(kept);
        return 0;
    }
    if (send_limited(kept) == 0)
        return 0;
    free(kept);
    return -1;
}
