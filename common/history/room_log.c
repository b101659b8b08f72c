#include "history/room_log.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct frame *frame;
    struct room_log_mark mark;
    uint64_t start_byte; /* bytes appended before this frame, ever */
};

struct room_log {
    struct entry *ring;
    size_t size; /* a power of two; grows up to `most` entries held */
    size_t most;
    uint64_t head;
    uint64_t tail;
    uint64_t bytes; /* appended, ever */
    struct deflater *deflater;
};

enum { SMALLEST = 8 };

static struct entry *at(const struct room_log *log, uint64_t position)
{
    return &log->ring[position & (log->size - 1)];
}

/* The frame in the form that the cursor gets. */
static const struct frame *pick(const struct room_log *log, const struct entry *entry,
                                const struct room_log_cursor *cursor)
{
    return cursor->deflated ? frame_deflated(entry->frame, log->deflater) : entry->frame;
}

struct room_log *room_log_new(size_t most)
{
    struct room_log *log = memory_new(sizeof *log);
    log->most = most < 1 ? 1 : most;
    log->size = SMALLEST;
    log->ring = memory_new(SMALLEST * sizeof *log->ring);
    return log;
}

void room_log_set_deflater(struct room_log *log, struct deflater *deflater)
{
    log->deflater = deflater;
}

void room_log_free(struct room_log *log)
{
    if (log == NULL)
        return;
    while (log->tail < log->head)
        room_log_evict(log);
    free(log->ring);
    free(log);
}

static void resize_ring(struct room_log *log, size_t size)
{
    struct entry *ring = memory_new(size * sizeof *ring);
    for (uint64_t p = log->tail; p < log->head; p++)
        ring[p & (size - 1)] = *at(log, p);
    free(log->ring);
    log->ring = ring;
    log->size = size;
}

void room_log_append(struct room_log *log, struct frame *frame, struct room_log_mark mark)
{
    if (log->head - log->tail == log->size)
        resize_ring(log, log->size * 2);
    *at(log, log->head) = (struct entry){frame, mark, log->bytes};
    log->head++;
    log->bytes += frame->len;
}

uint64_t room_log_excess(const struct room_log *log)
{
    return log->head - log->tail > log->most ? log->head - log->most : log->tail;
}

uint64_t room_log_head(const struct room_log *log)
{
    return log->head;
}

uint64_t room_log_tail(const struct room_log *log)
{
    return log->tail;
}

struct room_log_mark room_log_mark(const struct room_log *log, uint64_t position)
{
    assert(position >= log->tail && position < log->head);
    return at(log, position)->mark;
}

void room_log_silence(struct room_log *log)
{
    for (uint64_t position = log->tail; position < log->head; position++)
        at(log, position)->mark.transient = true;
}

void room_log_fork(struct room_log *log, uint64_t seq)
{
    for (uint64_t position = log->head; position > log->tail; position--) {
        struct room_log_mark *mark = &at(log, position - 1)->mark;
        if (mark->seq <= seq)
            return;
        mark->seq = seq;
        mark->transient = true;
    }
}

void room_log_evict(struct room_log *log)
{
    assert(log->tail < log->head);
    frame_free(at(log, log->tail)->frame);
    log->tail++;
    if (log->size > SMALLEST && (log->head - log->tail) * 8 < log->size)
        resize_ring(log, log->size / 2);
}

uint64_t room_log_find(const struct room_log *log, uint64_t start, uint64_t seq)
{
    uint64_t low = start > log->tail ? start : log->tail;
    uint64_t high = log->head;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (at(log, middle)->mark.seq > seq)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t room_log_bytes_from(const struct room_log *log, uint64_t position)
{
    return position >= log->head ? 0 : log->bytes - at(log, position)->start_byte;
}

uint64_t room_log_find_bytes(const struct room_log *log, uint64_t start, size_t most)
{
    uint64_t end = start < log->head ? start + 1 : start;
    while (end < log->head &&
           at(log, end)->start_byte + at(log, end)->frame->len - at(log, start)->start_byte <= most)
        end++;
    return end;
}

const uint8_t *room_log_merge(const struct room_log *log, const struct room_log_cursor *start,
                              uint64_t end, struct text *buffer, size_t *len)
{
    *len = 0;
    if (end == start->position)
        return NULL;
    const struct frame *frame = pick(log, at(log, start->position), start);
    *len = frame->len;
    if (end == start->position + 1)
        return frame->bytes;
    size_t begin = buffer->len;
    text_add(buffer, (const char *)frame->bytes, frame->len);
    for (uint64_t position = start->position + 1; position < end; position++) {
        frame = pick(log, at(log, position), start);
        text_add(buffer, (const char *)frame->bytes, frame->len);
    }
    *len = buffer->len - begin;
    return (const uint8_t *)buffer->data + begin;
}

static bool is_skipped(const struct entry *entry, const struct room_log_cursor *cursor)
{
    return entry->mark.transient && cursor->replayed > 0 && cursor->offset == 0;
}

/* On to the next frame. */
static void step(struct room_log_cursor *cursor)
{
    cursor->position++;
    cursor->offset = 0;
    if (cursor->replayed > 0)
        cursor->replayed--;
}

int room_log_gather(const struct room_log *log, const struct room_log_cursor *cursor,
                    struct iovec *out, int most, struct room_log_cursor *end)
{
    int count = 0;
    for (*end = *cursor; end->position < log->head && count < most; step(end)) {
        struct entry *entry = at(log, end->position);
        if (is_skipped(entry, end))
            continue;
        const struct frame *frame = pick(log, entry, end);
        out[count].iov_base = (uint8_t *)frame->bytes + end->offset;
        out[count].iov_len = frame->len - end->offset;
        count++;
    }
    return count;
}

void room_log_advance(const struct room_log *log, struct room_log_cursor *cursor, size_t sent)
{
    while (sent > 0) {
        assert(cursor->position < log->head);
        struct entry *entry = at(log, cursor->position);
        if (!is_skipped(entry, cursor)) {
            size_t left = pick(log, entry, cursor)->len - cursor->offset;
            if (sent < left) {
                cursor->offset += (uint32_t)sent;
                return;
            }
            sent -= left;
        }
        step(cursor);
    }
}

size_t room_log_remainder(const struct room_log *log, const struct room_log_cursor *cursor,
                          const uint8_t **bytes)
{
    if (cursor->offset == 0)
        return 0;
    const struct frame *frame = pick(log, at(log, cursor->position), cursor);
    *bytes = frame->bytes + cursor->offset;
    return frame->len - cursor->offset;
}
