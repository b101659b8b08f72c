#include "protocol/deflate.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    LEVEL = 1,        /* the others take up to four times as long, for 5 % */
    MEMORY_LEVEL = 5, /* what is to be cleared before each message grows with it */
    TAIL_BYTES = 4,   /* 00 00 ff ff, which the receiver puts there again (section 7.2.1) */
    KEPT_BYTES = 65536,
    MOST_FINAL_BLOCKS = 64,
};

/* --- Out --- */

struct deflater {
    z_stream stream;
    uint64_t *count;
    size_t left; /* of the budget */
    uint8_t out[DEFLATE_BUDGET_BYTES];
};

struct deflater *deflater_new(int window_bits, uint64_t *count)
{
    struct deflater *deflater = memory_new(sizeof *deflater);
    deflater->count = count;
    assert(window_bits >= 9 && window_bits <= MAX_WBITS);
    if (deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, -window_bits, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        memory_run_out();
    deflater_refill(deflater);
    return deflater;
}

void deflater_free(struct deflater *deflater)
{
    if (deflater == NULL)
        return;
    deflateEnd(&deflater->stream);
    free(deflater);
}

void deflater_refill(struct deflater *deflater)
{
    deflater->left = DEFLATE_BUDGET_BYTES;
}

/* The end of a message is an empty block whose last bytes are known (section 7.2.1). What does not
 * fit is not worth it. */
const uint8_t *deflater_run(struct deflater *deflater, const void *data, size_t len,
                            size_t *out_len)
{
    z_stream *stream = &deflater->stream;
    if (len < DEFLATE_LEAST_BYTES || len > deflater->left)
        return NULL;
    deflater->left -= len;
    deflateReset(stream);
    stream->next_in = (Bytef *)data;
    stream->avail_in = (uInt)len;
    stream->next_out = deflater->out;
    stream->avail_out = (uInt)(len - len / 8);
    int result = deflate(stream, Z_SYNC_FLUSH);
    if (result != Z_OK || stream->avail_out == 0)
        return NULL;
    *out_len = (size_t)stream->total_out - TAIL_BYTES;
    ++*deflater->count;
    return deflater->out;
}

/* --- In --- */

struct inflater {
    z_stream stream;
    uint64_t *count;
    size_t most;
    uint8_t *out;
    size_t capacity;
};

struct inflater *inflater_new(size_t most, uint64_t *count)
{
    struct inflater *inflater = memory_new(sizeof *inflater);
    inflater->most = most > 0 && most < INFLATER_MOST_BYTES ? most : INFLATER_MOST_BYTES;
    inflater->count = count;
    if (inflateInit2(&inflater->stream, -MAX_WBITS) != Z_OK)
        memory_run_out();
    return inflater;
}

void inflater_free(struct inflater *inflater)
{
    if (inflater == NULL)
        return;
    inflateEnd(&inflater->stream);
    free(inflater->out);
    free(inflater);
}

static void resize_out(struct inflater *inflater, size_t capacity)
{
    inflater->out = memory_resize(inflater->out, capacity, 1);
    inflater->capacity = capacity;
}

/* One byte more than the limit: who needs it has too much. */
static bool make_room(struct inflater *inflater, size_t used)
{
    size_t most = inflater->most + 1;
    if (used == most)
        return false;
    if (used == inflater->capacity)
        resize_out(inflater, inflater->capacity * 2 < most ? inflater->capacity * 2 : most);
    return true;
}

static void begin_message(struct inflater *inflater, const uint8_t *data, size_t len)
{
    size_t most = inflater->most + 1;
    if (inflater->capacity == 0 || inflater->capacity > KEPT_BYTES)
        resize_out(inflater, KEPT_BYTES < most ? KEPT_BYTES : most);
    inflateReset(&inflater->stream);
    inflater->stream.next_in = (Bytef *)data;
    inflater->stream.avail_in = (uInt)len;
}

/* After a final block the next one begins at a byte's boundary (section 7.2.1), and knows nothing
 * of what was before it. */
static bool begin_block(struct inflater *inflater, int *final_blocks)
{
    return ++*final_blocks <= MOST_FINAL_BLOCKS && inflateReset(&inflater->stream) == Z_OK;
}

/* What the sender has left out are the last bytes of an empty block: zlib waits for them, unless
 * the message is cut. */
static bool is_whole(struct inflater *inflater, int result)
{
    return result == Z_STREAM_END || inflateSyncPoint(&inflater->stream) == 1;
}

int inflater_run(struct inflater *inflater, const uint8_t *data, size_t len, const uint8_t **out,
                 size_t *out_len)
{
    z_stream *stream = &inflater->stream;
    size_t used = 0;
    int final_blocks = 0;
    int result;
    begin_message(inflater, data, len);
    do {
        if (!make_room(inflater, used))
            return INFLATER_TOO_BIG;
        stream->next_out = inflater->out + used;
        stream->avail_out = (uInt)(inflater->capacity - used);
        result = inflate(stream, Z_SYNC_FLUSH);
        if (result == Z_MEM_ERROR) /* not the sender's fault */
            memory_run_out();
        used = (size_t)(stream->next_out - inflater->out);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return INFLATER_BROKEN;
        if (result == Z_STREAM_END && stream->avail_in > 0 && !begin_block(inflater, &final_blocks))
            return INFLATER_BROKEN;
    } while (stream->avail_in > 0 || stream->avail_out == 0);
    if (!is_whole(inflater, result))
        return INFLATER_BROKEN;
    *out = inflater->out;
    *out_len = used;
    ++*inflater->count;
    return 0;
}
