#include "room/fanout.h"

#include "base/clock.h"
#include "base/memory.h"
#include "room/fanout_internal.h"

#include <stdlib.h>

enum { MOST_RUN_BYTES = 262144 /* to one socket at once; more is for the next round */ };

/* Members of one room who are at one position in its log and take frames in the same form, and so
 * get the same bytes. */
struct run {
    struct subscribers *subscribers;
    struct room_log_cursor from;
    uint64_t to;
    const uint8_t *data;
    size_t len;
    uint32_t first, end; /* its sendings */
};

/* No slot moves between its collecting and its settling: nobody comes or goes then. The subscribers
 * of a room are at most once in a batch, and so is each socket. */
struct fanout {
    struct batch_send *sender;
    struct subscribers_queue queue;
    struct link in_batch; /* the subscribers whose slots are in it */
    struct text merged;   /* what several frames of a run become; it does not move */
    bool full;            /* `merged` has no space for the next run */
    uint32_t count, run_count;
    struct sending sendings[BATCH_SEND_MOST];
    struct slot *slots[BATCH_SEND_MOST];
    struct run runs[BATCH_SEND_MOST];
};

struct fanout *fanout_new(struct batch_send *sender, struct metrics *metrics,
                          struct refusals *refusals)
{
    struct fanout *all = memory_new(sizeof *all);
    all->sender = sender;
    all->queue.metrics = metrics;
    all->queue.refusals = refusals;
    list_init(&all->queue.urgent);
    list_init(&all->queue.others);
    list_init(&all->in_batch);
    return all;
}

void fanout_free(struct fanout *all)
{
    if (all == NULL)
        return;
    text_done(&all->merged);
    free(all);
}

struct subscribers_queue *fanout_queue(struct fanout *all)
{
    return &all->queue;
}

bool fanout_has_more(const struct fanout *all)
{
    return !list_is_empty(&all->queue.urgent) || !list_is_empty(&all->queue.others);
}

/* --- Collecting a batch --- */

/* Is it the run of a slot there? */
static bool is_run_of(const struct run *run, const struct room_log_cursor *cursor)
{
    return run != NULL && run->from.position == cursor->position &&
           run->from.deflated == cursor->deflated;
}

/* Puts the bytes of a run together; -1 when there is no space for that in this batch. */
static int merge_run(struct fanout *all, struct run *run)
{
    const struct room_log *log = run->subscribers->options.log;
    uint64_t from = run->from.position;
    run->to = room_log_find_bytes(log, from, MOST_RUN_BYTES);
    if (run->to > from + 1) {
        uint64_t bytes = room_log_bytes_from(log, from) - room_log_bytes_from(log, run->to);
        all->full = all->merged.len + bytes > MOST_RUN_BYTES;
        if (all->full)
            return -1;
        text_reserve(&all->merged, MOST_RUN_BYTES - all->merged.len);
    }
    run->data = room_log_merge(log, &run->from, run->to, &all->merged, &run->len);
    return 0;
}

/* `like`: an earlier run, perhaps of the same bytes; NULL: there is none. Members of both forms
 * take turns in a room. Returns NULL when there is no space for it in this batch. */
static struct run *begin_run(struct fanout *all, struct subscribers *subscribers,
                             const struct room_log_cursor *from, const struct run *like)
{
    struct run *run = &all->runs[all->run_count];
    if (is_run_of(like, from)) {
        *run = *like;
    } else {
        *run = (struct run){.subscribers = subscribers, .from = *from};
        if (merge_run(all, run) != 0)
            return NULL;
    }
    run->first = run->end = all->count;
    all->run_count++;
    return run;
}

/* The slots from this one on that belong to the run, at most `most` of them. Returns how many. */
static uint32_t extend_run(struct fanout *all, struct run *run, struct slot *slot, uint32_t most)
{
    uint64_t position = run->from.position;
    uint32_t deflated = run->from.deflated;
    const struct slot *first = slot;
    struct sending *sending = &all->sendings[run->end];
    struct slot **of = &all->slots[run->end];
    for (; slot < first + most && slot->in_sync_fd >= 0 && slot->cursor.position == position &&
           slot->cursor.deflated == deflated;
         slot++, sending++, of++) {
        sending->data = run->data;
        sending->len = (uint32_t)run->len;
        sending->fd = slot->in_sync_fd;
        *of = slot;
    }
    uint32_t count = (uint32_t)(slot - first);
    run->end += count;
    all->count += count;
    return count;
}

/* Sends to the slot and to those after it what they are to get; one who is not in sync is served at
 * once. Returns how many slots that are; 0 when there is no space for them in this batch. */
static uint32_t collect_slots(struct fanout *all, struct subscribers *subscribers,
                              struct slot *slot, uint32_t most, struct run *latest[2])
{
    if (slot->in_sync_fd < 0) {
        subscribers_serve_or_cut(subscribers, slot);
        return 1;
    }
    struct run **like = &latest[slot->cursor.deflated];
    struct run *run = begin_run(all, subscribers, &slot->cursor, *like);
    if (run == NULL)
        return 0;
    *like = run;
    return extend_run(all, run, slot, most);
}

/* Visits the next slots, up to the end of the round, until `most` have been served or are in the
 * batch. Returns how many. */
static uint32_t collect_room(struct fanout *all, struct subscribers *subscribers, uint32_t most)
{
    uint64_t head = room_log_head(subscribers->options.log);
    uint32_t until = subscribers->flush_at + subscribers->due;
    uint32_t at = subscribers->flush_at;
    uint32_t served = 0;
    struct run *latest[2] = {NULL, NULL}; /* of plain frames, of compressed ones */
    if (until > subscribers->count)
        until = subscribers->count;
    while (at < until && served < most) {
        struct slot *slot = &subscribers->slots[at];
        if (slot->cursor.position >= head) { /* has all, or is dead */
            at++;
            continue;
        }
        uint32_t left = until - at < most - served ? until - at : most - served;
        uint32_t count = collect_slots(all, subscribers, slot, left, latest);
        if (count == 0)
            break;
        at += count;
        served += count;
    }
    subscribers->due -= at - subscribers->flush_at;
    subscribers->flush_at = at;
    return served;
}

/* From the next rooms of a queue, each once. */
static uint32_t collect_from(struct fanout *all, struct link *queue, uint32_t most)
{
    uint32_t served = 0;
    while (served < most && !all->full && !list_is_empty(queue)) {
        struct subscribers *subscribers = LIST_ITEM(queue->next, struct subscribers, in_queue);
        list_remove(&subscribers->in_queue);
        list_add(&all->in_batch, &subscribers->in_queue);
        served += collect_room(all, subscribers, most - served);
    }
    return served;
}

/* What is said comes first, but a quarter is kept for the others. */
static uint32_t collect_batch(struct fanout *all, uint32_t most)
{
    uint32_t kept = list_is_empty(&all->queue.others) ? 0 : most / 4;
    all->full = false;
    uint32_t served = collect_from(all, &all->queue.urgent, most - kept);
    served += collect_from(all, &all->queue.others, most - served);
    return served + collect_from(all, &all->queue.urgent, most - served);
}

/* --- Sending it --- */

static void settle_run(const struct fanout *all, const struct run *run)
{
    struct subscribers *subscribers = run->subscribers;
    uint64_t complete = 0;
    for (uint32_t i = run->first; i < run->end; i++) {
        if ((size_t)all->sendings[i].sent == run->len) {
            all->slots[i]->cursor.position = run->to;
            complete++;
        } else {
            subscribers_note_short(subscribers, all->slots[i], all->sendings[i].sent);
        }
    }
    all->queue.metrics->messages_out += complete * (run->to - run->from.position);
    all->queue.metrics->bytes_out += complete * run->len;
    if (run->to == room_log_head(subscribers->options.log))
        return;
    subscribers->due = subscribers->count; /* that was not everything: once more round */
    if (subscribers->round_from > run->to)
        subscribers->round_from = run->to;
}

static void end_round(struct subscribers *subscribers)
{
    subscribers->options.on_served(subscribers->options.owner, subscribers->round_from);
    subscribers->round_from = room_log_head(subscribers->options.log);
    subscribers->flush_at = 0;
}

/* Back into the queue, or done. */
static void settle(struct subscribers *subscribers)
{
    list_remove(&subscribers->in_queue);
    if (subscribers->flush_at >= subscribers->count)
        end_round(subscribers);
    if (subscribers->due > 0) {
        subscribers_enqueue(subscribers, false);
        return;
    }
    subscribers->urgent = false;
    subscribers->round_from = room_log_head(subscribers->options.log);
    subscribers->options.on_served(subscribers->options.owner, subscribers->round_from);
}

/* Nothing may be trimmed from a log before what points into it is sent. */
static void send_collected(struct fanout *all)
{
    batch_send_all(all->sender, all->sendings, all->count);
    for (uint32_t i = 0; i < all->run_count; i++)
        settle_run(all, &all->runs[i]);
    all->count = all->run_count = 0;
    text_clear(&all->merged);
    while (!list_is_empty(&all->in_batch))
        settle(LIST_ITEM(all->in_batch.next, struct subscribers, in_queue));
}

/* One batch; then sockets are read: what is said meanwhile is on its way through Redis, and shares
 * system calls with what was said earlier. */
void fanout_flush(struct fanout *all)
{
    if (!fanout_has_more(all))
        return;
    metrics_begin_iteration(all->queue.metrics);
    int64_t begun_us = clock_monotonic_us();
    for (uint32_t served = 0; served < BATCH_SEND_MOST && fanout_has_more(all);) {
        served += collect_batch(all, BATCH_SEND_MOST - served);
        send_collected(all);
    }
    histogram_add(&all->queue.metrics->flush, clock_monotonic_us() - begun_us);
}
