/* The room log against a model: a list of frames that are never moved. Half of the cursors take
 * them compressed. */
#include "fuzz.h"
#include "history/room_log.h"
#include "protocol/deflate.h"

enum { MOST_FRAMES = 512, CURSORS = 4, MOST_PARTS = 8, MOST_HELD = 32, LONG = 230 };

static uint64_t compressed;

struct model {
    struct {
        uint64_t seq;
        bool transient;
        size_t len, deflated_len;
        uint8_t fill;
    } frames[MOST_FRAMES];
    uint64_t head, tail, seq;
    struct room_log_cursor cursors[CURSORS]; /* none is behind the tail */
    struct deflater *deflater;
};

/* Of the frame in the form that the cursor gets. */
static size_t len_for(const struct model *model, const struct room_log_cursor *cursor)
{
    return cursor->deflated ? model->frames[cursor->position].deflated_len
                            : model->frames[cursor->position].len;
}

static size_t deflate_len(const struct model *model, const char *payload, size_t len)
{
    size_t deflated_len = len;
    deflater_refill(model->deflater);
    bool pays = deflater_run(model->deflater, payload, len, &deflated_len) != NULL;
    return deflated_len + (pays || len <= 125 ? 2 : 4);
}

static void append(struct room_log *log, struct model *model, uint8_t how)
{
    char payload[LONG + 70];
    size_t len = how % 70 + (how % 3 == 0 ? LONG : 0);
    bool transient = (how & 0x80) != 0;
    if (model->head == MOST_FRAMES)
        return;
    uint8_t fill = (uint8_t)('a' + model->head % 26);
    memset(payload, fill, sizeof payload);
    struct frame *frame = frame_new_text(payload, len);
    model->seq += !transient;
    model->frames[model->head].seq = model->seq;
    model->frames[model->head].transient = transient;
    model->frames[model->head].len = frame->len;
    model->frames[model->head].deflated_len = deflate_len(model, payload, len);
    model->frames[model->head++].fill = fill;
    room_log_append(log, frame, (struct room_log_mark){model->seq, 0, transient});
}

/* As the gateway does: whoever stands at what goes is moved first. */
static void evict(struct room_log *log, struct model *model)
{
    if (model->tail == model->head)
        return;
    room_log_evict(log);
    model->tail++;
    for (unsigned i = 0; i < CURSORS; i++)
        if (model->cursors[i].position < model->tail)
            model->cursors[i] =
                (struct room_log_cursor){.position = model->tail, .deflated = i % 2};
}

static void fork_at(struct room_log *log, struct model *model, uint8_t back)
{
    uint64_t seq = model->seq > back ? model->seq - back : 0;
    room_log_fork(log, seq);
    for (uint64_t i = model->head; i > model->tail && model->frames[i - 1].seq > seq; i--) {
        model->frames[i - 1].seq = seq;
        model->frames[i - 1].transient = true;
    }
    model->seq = seq;
}

static uint64_t sum(const struct model *model, uint64_t start)
{
    uint64_t bytes = 0;
    for (uint64_t i = start; i < model->head; i++)
        bytes += model->frames[i].len;
    return bytes;
}

static bool is_skipped(const struct model *model, const struct room_log_cursor *cursor)
{
    return model->frames[cursor->position].transient && cursor->replayed > 0 && cursor->offset == 0;
}

static void step(struct room_log_cursor *cursor)
{
    cursor->position++;
    cursor->offset = 0;
    if (cursor->replayed > 0)
        cursor->replayed--;
}

/* One byte after the other. */
static void advance_model(const struct model *model, struct room_log_cursor *cursor, size_t sent)
{
    while (sent > 0) {
        if (is_skipped(model, cursor)) {
            step(cursor);
            continue;
        }
        sent--;
        if (++cursor->offset == len_for(model, cursor))
            step(cursor);
    }
}

static size_t check_gathered(const struct room_log *log, const struct model *model,
                             const struct room_log_cursor *cursor)
{
    struct iovec parts[MOST_PARTS];
    struct room_log_cursor end;
    struct room_log_cursor at = *cursor;
    size_t bytes = 0;
    int count = room_log_gather(log, cursor, parts, MOST_PARTS, &end);
    for (int i = 0; i < count; i++) {
        while (is_skipped(model, &at))
            step(&at);
        const uint8_t *last = (const uint8_t *)parts[i].iov_base + parts[i].iov_len - 1;
        size_t left = len_for(model, &at) - at.offset;
        bool plain = !at.deflated || len_for(model, &at) == model->frames[at.position].len;
        must(parts[i].iov_len == left, "a part is the rest of a frame");
        must(!plain || model->frames[at.position].len == 2 ||
                 *last == model->frames[at.position].fill,
             "of the frame that is due");
        bytes += left;
        step(&at);
    }
    must(count == MOST_PARTS || end.position == model->head, "all that is there, or as many");
    return bytes;
}

static void send_some(const struct room_log *log, struct model *model, uint8_t which, uint8_t part)
{
    struct room_log_cursor *cursor = &model->cursors[which % CURSORS];
    struct room_log_cursor same = *cursor;
    const uint8_t *bytes;
    size_t sent = check_gathered(log, model, cursor) * part / 255;
    advance_model(model, &same, sent);
    room_log_advance(log, cursor, sent);
    must(cursor->position == same.position && cursor->offset == same.offset &&
             cursor->replayed == same.replayed && cursor->deflated == same.deflated,
         "however much a socket takes, the cursor stands where the model's does");
    size_t rest = cursor->offset == 0 ? 0 : len_for(model, cursor) - cursor->offset;
    must(room_log_remainder(log, cursor, &bytes) == rest, "the rest of the frame it stands in");
}

/* Numbers grow from the fork on only: as history/replay_window.c does, it is looked for from the
 * tail. */
static void seek(const struct room_log *log, struct model *model, uint8_t which, uint8_t back)
{
    uint64_t seq = model->seq > back ? model->seq - back : 0;
    uint64_t found = room_log_find(log, model->tail, seq);
    uint64_t expected = model->tail;
    while (expected < model->head && model->frames[expected].seq <= seq)
        expected++;
    must(found == expected, "the first frame with news");
    model->cursors[which % CURSORS] =
        (struct room_log_cursor){.position = found,
                                 .replayed = (model->head - found) / (1 + which / 4 % 2) & 0xffff,
                                 .deflated = which % 2};
}

static void check_ranges(const struct room_log *log, const struct model *model, uint8_t at,
                         uint8_t most)
{
    struct text buffer = TEXT_EMPTY;
    size_t len;
    uint64_t held = model->head - model->tail;
    uint64_t start = model->tail + (held == 0 ? 0 : at % held);
    uint64_t end = room_log_find_bytes(log, start, most);
    must(room_log_bytes_from(log, start) == sum(model, start), "as many bytes as were appended");
    must(held == 0 ||
             (end > start && (end == start + 1 || sum(model, start) - sum(model, end) <= most)),
         "one frame, or as many as fit");
    struct room_log_cursor cursor = {.position = start, .deflated = 1};
    size_t deflated_len = 0;
    room_log_merge(log, &cursor, end, &buffer, &len);
    for (; cursor.position < end; cursor.position++)
        deflated_len += len_for(model, &cursor);
    must(len == deflated_len, "merged: all bytes of the compressed frames");
    cursor = (struct room_log_cursor){.position = start};
    const uint8_t *bytes = room_log_merge(log, &cursor, end, &buffer, &len);
    must(len == sum(model, start) - sum(model, end), "merged: all bytes between");
    for (uint64_t i = start; i < end; bytes += model->frames[i++].len)
        must(model->frames[i].len == 2 || bytes[model->frames[i].len - 1] == model->frames[i].fill,
             "merged: one frame after the other");
    text_done(&buffer);
}

static void check_whole(const struct room_log *log, const struct model *model)
{
    must(room_log_head(log) == model->head && room_log_tail(log) == model->tail, "the same ends");
    must(room_log_bytes_from(log, model->tail) == sum(model, model->tail), "the same bytes");
    uint64_t excess = model->head - model->tail > MOST_HELD ? model->head - MOST_HELD : model->tail;
    must(room_log_excess(log) == excess, "the same excess");
    for (uint64_t i = model->tail; i < model->head; i++)
        must(room_log_mark(log, i).seq == model->frames[i].seq &&
                 room_log_mark(log, i).transient == model->frames[i].transient,
             "the same marks");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct room_log *log = room_log_new(MOST_HELD);
    struct model model = {.deflater = deflater_new(DEFLATE_WINDOW_BITS, &compressed)};
    struct deflater *deflater = deflater_new(DEFLATE_WINDOW_BITS, &compressed);
    room_log_set_deflater(log, deflater);
    for (unsigned i = 0; i < CURSORS; i++)
        model.cursors[i].deflated = i % 2;
    for (size_t i = 0; i + 2 < len; i += 3) {
        deflater_refill(deflater);
        if (data[i] % 8 < 3)
            append(log, &model, data[i + 1]);
        else if (data[i] % 8 == 3)
            evict(log, &model);
        else if (data[i] % 8 == 4)
            fork_at(log, &model, data[i + 1] % 16);
        else if (data[i] % 8 == 5)
            send_some(log, &model, data[i + 1], data[i + 2]);
        else if (data[i] % 8 == 6)
            seek(log, &model, data[i + 1], data[i + 2] % 32);
        else
            check_ranges(log, &model, data[i + 1], data[i + 2]);
    }
    check_whole(log, &model);
    room_log_free(log);
    deflater_free(deflater);
    deflater_free(model.deflater);
    return 0;
}
