/* Compressed messages of a client, against zlib alone; and our own, which must come back whole. */
#include "fuzz.h"
#include "protocol/deflate.h"

#include <zlib.h>

enum { MOST = 4000 };

static uint64_t count;

/* Its first data set, byte by byte: a receiver that puts the last four bytes there again. Returns
 * how many bytes it has; -1: it is none; -2: it has more than the limit, or a second set. */
static int inflate_simply(const uint8_t *data, size_t len, uint8_t *out)
{
    z_stream stream = {.next_out = out, .avail_out = 0};
    int result = Z_OK;
    inflateInit2(&stream, -15);
    for (size_t i = 0; i < len + 4 && result == Z_OK; i++) {
        uint8_t byte = i < len ? data[i] : i < len + 2 ? 0x00 : 0xff;
        stream.next_in = &byte;
        stream.avail_in = 1;
        stream.avail_out = (uInt)(MOST + 1 - stream.total_out);
        result = stream.avail_out == 0 ? Z_STREAM_END : inflate(&stream, Z_SYNC_FLUSH);
    }
    int total = (int)stream.total_out;
    inflateEnd(&stream);
    if (result == Z_STREAM_END)
        return -2;
    return result == Z_OK || result == Z_BUF_ERROR ? total : -1;
}

static void check_inflater(struct inflater *inflater, const uint8_t *data, size_t len)
{
    uint8_t expected[MOST + 1];
    const uint8_t *out = NULL;
    size_t out_len = 0;
    int result = inflater_run(inflater, data, len, &out, &out_len);
    int simple = inflate_simply(data, len, expected);
    must(result == 0 || result == INFLATER_TOO_BIG || result == INFLATER_BROKEN, "one of three");
    must(result != 0 || out_len <= MOST, "no more than the limit");
    if (simple == -2)
        return;
    if (result == 0)
        must(simple == (int)out_len && memcmp(out, expected, out_len) == 0, "the same to zlib");
    must(result != INFLATER_TOO_BIG || simple == -1, "it is not more than the limit to zlib");
}

static void check_round_trip(struct inflater *inflater, int window_bits, const uint8_t *data,
                             size_t len)
{
    struct deflater *deflater = deflater_new(window_bits, &count);
    const uint8_t *out = NULL;
    size_t made_len = 0, out_len = 0;
    const uint8_t *made = deflater_run(deflater, data, len, &made_len);
    if (made != NULL) {
        must(made_len < len, "it got shorter");
        int result = inflater_run(inflater, made, made_len, &out, &out_len);
        must(result == (len <= MOST ? 0 : INFLATER_TOO_BIG), "it can be inflated");
        must(len > MOST || (out_len == len && memcmp(out, data, len) == 0), "and is the same");
    }
    deflater_free(deflater);
}

/* The first byte says with which window. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct inflater *inflater;
    if (inflater == NULL)
        inflater = inflater_new(MOST, &count);
    if (len < 1)
        return 0;
    check_inflater(inflater, data + 1, len - 1);
    check_round_trip(inflater, 9 + data[0] % 7, data + 1, len - 1);
    return 0;
}
