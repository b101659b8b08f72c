#include "unit.h"

#include "base/memory.h"
#include "protocol/deflate.h"

#include <zlib.h>

enum { MOST = 32768 };

static uint64_t count;
static uint8_t big[200000];

/* Inflates with a limit; the error, or how many bytes it has. */
static int inflate_within(size_t most, const uint8_t *data, size_t len, uint8_t *out)
{
    struct inflater *inflater = inflater_new(most, &count);
    /* so that the sanitizers see each byte that is read beyond it */
    uint8_t *copy = memory_new(len + 1);
    memcpy(copy + 1, data, len);
    const uint8_t *inflated = NULL;
    size_t inflated_len = 0;
    int result = inflater_run(inflater, copy + 1, len, &inflated, &inflated_len);
    if (result == 0 && out != NULL)
        memcpy(out, inflated, inflated_len);
    free(copy);
    inflater_free(inflater);
    return result == 0 ? (int)inflated_len : result;
}

static void assert_inflates(const uint8_t *data, size_t len, const char *expected)
{
    uint8_t out[MOST];
    assert_int_equal(inflate_within(MOST, data, len, out), strlen(expected));
    assert_memory_equal(out, expected, strlen(expected));
}

#define ASSERT_INFLATES(expected, ...)                                                             \
    assert_inflates((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),        \
                    expected)
#define ASSERT_BROKEN(...)                                                                         \
    assert_int_equal(inflate_within(MOST, (const uint8_t[]){__VA_ARGS__},                          \
                                    sizeof((const uint8_t[]){__VA_ARGS__}), NULL),                 \
                     INFLATER_BROKEN)

/* A message of JSON's kind, which has something to be found in each window. */
static size_t write_json(uint8_t *out, size_t len)
{
    char item[128];
    uint32_t random = 7;
    size_t at = 0;
    while (at < len) {
        random = random * 1664525 + 1013904223;
        int n = snprintf(item, sizeof item, "{\"id\":\"%08x\",\"name\":\"member %u\"},", random,
                         random % 1000);
        size_t take = (size_t)n < len - at ? (size_t)n : len - at;
        memcpy(out + at, item, take);
        at += take;
    }
    return len;
}

/* Somebody else's compressor. */
static size_t compress_with(int level, int window_bits, const uint8_t *data, size_t len,
                            uint8_t *out, size_t most)
{
    z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)len};
    stream.next_out = out;
    stream.avail_out = (uInt)most;
    assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    size_t made = stream.total_out - 4;
    deflateEnd(&stream);
    return made;
}

/* --- RFC 7692 section 7.2.3 --- */

static void test_the_examples_of_the_rfc(void **state)
{
    (void)state;
    /* 7.2.3.1: one block */
    ASSERT_INFLATES("Hello", 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    /* 7.2.3.2: the second message of a sender that keeps its window, and of one that does not */
    ASSERT_BROKEN(0xf2, 0x00, 0x11, 0x00, 0x00);
    ASSERT_INFLATES("Hello", 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    /* 7.2.3.3: a block without compression */
    ASSERT_INFLATES("Hello", 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00);
    /* 7.2.3.4: a final block */
    ASSERT_INFLATES("Hello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00);
    /* 7.2.3.5: two blocks */
    ASSERT_INFLATES("Hello", 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07,
                    0x00);
    /* 7.2.3.6: an empty message */
    ASSERT_INFLATES("", 0x00);
}

static void test_other_forms_of_a_message(void **state)
{
    (void)state;
    ASSERT_INFLATES("", 0x02, 0x00);                                    /* an empty fixed block */
    ASSERT_INFLATES("", 0x02, 0x08, 0x20, 0x00, 0x00);                  /* three of them */
    ASSERT_INFLATES("Hello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00); /* ends with the final */
    ASSERT_INFLATES("HelloHello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, /* final, */
                    0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00); /* and another after it */
}

static void test_what_is_no_message_is_broken(void **state)
{
    (void)state;
    assert_int_equal(inflate_within(MOST, (const uint8_t *)"", 0, NULL), INFLATER_BROKEN);
    ASSERT_BROKEN(0x06);                         /* a block of a kind that does not exist */
    ASSERT_BROKEN(0x00, 0x05, 0x00, 0xfb, 0xff); /* a length and not its complement */
    ASSERT_BROKEN(0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65);
    ASSERT_BROKEN(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff, 0xff);
    ASSERT_BROKEN(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06); /* after the final block */
}

static void test_endless_final_blocks_are_broken(void **state)
{
    uint8_t blocks[200];
    (void)state;
    for (size_t i = 0; i < sizeof blocks; i += 2)
        memcpy(blocks + i, (const uint8_t[]){0x03, 0x00}, 2);
    assert_int_equal(inflate_within(MOST, blocks, 2 * 65, NULL), 0); /* another after 64 of them */
    assert_int_equal(inflate_within(MOST, blocks, 2 * 66, NULL), INFLATER_BROKEN);
    assert_int_equal(inflate_within(MOST, blocks, sizeof blocks, NULL), INFLATER_BROKEN);
}

static void test_a_message_cut_anywhere_is_broken(void **state)
{
    uint8_t data[3000], made[3100], out[MOST];
    (void)state;
    write_json(data, sizeof data);
    for (int level = 0; level <= 9; level += 3) {
        size_t len = compress_with(level, 15, data, sizeof data, made, sizeof made);
        assert_int_equal(inflate_within(MOST, made, len, out), sizeof data);
        assert_memory_equal(out, data, sizeof data);
        for (size_t cut = 0; cut < len; cut++) {
            bool is_empty_message = level == 0 && cut == 1;
            int expected = is_empty_message ? 0 : INFLATER_BROKEN;
            if (inflate_within(MOST, made, cut, NULL) != expected)
                fail_msg("level %d, cut at %zu of %zu", level, cut, len);
        }
    }
}

/* --- The limit --- */

static void test_the_limit_is_that_of_the_inflated_message(void **state)
{
    uint8_t made[3100];
    (void)state;
    for (size_t len = 990; len <= 1010; len++) {
        write_json(big, len);
        size_t made_len = compress_with(6, 15, big, len, made, sizeof made);
        assert_int_equal(inflate_within(1000, made, made_len, NULL),
                         len <= 1000 ? (int)len : INFLATER_TOO_BIG);
    }
}

static void test_a_bomb_is_too_big(void **state)
{
    static uint8_t made[MOST], out[200000];
    (void)state;
    memset(big, 'x', sizeof big);
    size_t len = compress_with(9, 15, big, sizeof big, made, sizeof made);
    assert_true(len < 1000);
    assert_int_equal(inflate_within(MOST, made, len, NULL), INFLATER_TOO_BIG);
    assert_int_equal(inflate_within(sizeof big - 1, made, len, NULL), INFLATER_TOO_BIG);
    assert_int_equal(inflate_within(sizeof big, made, len, out), sizeof big);
    assert_memory_equal(out, big, sizeof big);
    assert_int_equal(inflate_within(0, made, len, NULL), sizeof big);
}

static void test_an_inflater_goes_on_after_a_bomb_and_a_broken_message(void **state)
{
    static uint8_t made[MOST];
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    const uint8_t *out = NULL;
    size_t out_len = 0;
    (void)state;
    memset(big, 'x', sizeof big);
    size_t len = compress_with(9, 15, big, sizeof big, made, sizeof made);
    struct inflater *inflater = inflater_new(MOST, &count);
    count = 0;
    assert_int_equal(inflater_run(inflater, made, len, &out, &out_len), INFLATER_TOO_BIG);
    assert_int_equal(inflater_run(inflater, hello, sizeof hello, &out, &out_len), 0);
    assert_int_equal(inflater_run(inflater, hello, 3, &out, &out_len), INFLATER_BROKEN);
    assert_int_equal(inflater_run(inflater, hello, sizeof hello, &out, &out_len), 0);
    assert_int_equal(out_len, 5);
    assert_memory_equal(out, "Hello", 5);
    assert_int_equal(count, 2);
    inflater_free(inflater);
}

/* --- Windows --- */

static void test_messages_of_every_window_are_inflated(void **state)
{
    static uint8_t data[MOST], made[MOST], out[MOST];
    (void)state;
    write_json(data, sizeof data);
    for (int bits = 9; bits <= 15; bits++) {
        size_t len = compress_with(9, bits, data, sizeof data, made, sizeof made);
        assert_int_equal(inflate_within(MOST, made, len, out), sizeof data);
        assert_memory_equal(out, data, sizeof data);
    }
}

/* With the bytes that its sender leaves out (section 7.2.2) the message is at the end of a block:
 * the next one, here a final and empty one, can follow. */
static void assert_ends_block(z_stream *stream)
{
    static uint8_t rest[] = {0x00, 0x00, 0xff, 0xff, 0x03, 0x00};
    uint8_t out[1];
    stream->next_in = rest;
    stream->avail_in = sizeof rest;
    stream->next_out = out;
    stream->avail_out = sizeof out;
    assert_int_equal(inflate(stream, Z_SYNC_FLUSH), Z_STREAM_END);
    assert_int_equal(stream->avail_in, 0);
    assert_int_equal(stream->avail_out, sizeof out);
}

/* A receiver that has no more than that window: it takes 16 bytes at a time. */
static void assert_readable(const uint8_t *made, size_t len, int window_bits, const uint8_t *data,
                            size_t data_len)
{
    z_stream stream = {.next_in = (Bytef *)made, .avail_in = (uInt)len};
    uint8_t out[16];
    size_t at = 0;
    assert_int_equal(inflateInit2(&stream, -window_bits), Z_OK);
    do {
        stream.next_out = out;
        stream.avail_out = sizeof out;
        int result = inflate(&stream, Z_SYNC_FLUSH);
        assert_true(result == Z_OK || result == Z_BUF_ERROR);
        size_t got = sizeof out - stream.avail_out;
        assert_true(at + got <= data_len);
        assert_memory_equal(out, data + at, got);
        at += got;
    } while (stream.avail_out == 0 || stream.avail_in > 0);
    assert_int_equal(at, data_len);
    assert_ends_block(&stream);
    inflateEnd(&stream);
}

static void test_what_is_compressed_can_be_read_with_its_window(void **state)
{
    static uint8_t data[MOST];
    (void)state;
    write_json(data, sizeof data);
    for (int bits = 9; bits <= 15; bits++) {
        struct deflater *deflater = deflater_new(bits, &count);
        for (size_t len = DEFLATE_LEAST_BYTES; len <= sizeof data; len += len / 3) {
            size_t made_len = 0;
            deflater_refill(deflater);
            const uint8_t *made = deflater_run(deflater, data, len, &made_len);
            assert_non_null(made);
            assert_true(made_len + len / 8 <= len);
            assert_readable(made, made_len, bits, data, len);
        }
        deflater_free(deflater);
    }
}

/* --- What is not compressed --- */

static void test_what_does_not_pay_is_left_as_it_is(void **state)
{
    uint8_t data[2000];
    size_t len = 0;
    uint32_t random = 1;
    (void)state;
    count = 0;
    struct deflater *deflater = deflater_new(DEFLATE_WINDOW_BITS, &count);
    memset(data, 'x', sizeof data);
    assert_null(deflater_run(deflater, data, DEFLATE_LEAST_BYTES - 1, &len));
    for (size_t i = 0; i < sizeof data; i++) {
        random = random * 1664525 + 1013904223;
        data[i] = (uint8_t)(random >> 24);
    }
    assert_null(deflater_run(deflater, data, sizeof data, &len));
    assert_int_equal(count, 0);
    deflater_free(deflater);
}

static void test_an_iteration_has_a_budget(void **state)
{
    size_t len = 0;
    int compressed = 0;
    (void)state;
    count = 0;
    memset(big, 'x', sizeof big);
    struct deflater *deflater = deflater_new(DEFLATE_WINDOW_BITS, &count);
    while (deflater_run(deflater, big, 1000, &len) != NULL)
        compressed++;
    assert_int_equal(compressed, DEFLATE_BUDGET_BYTES / 1000);
    assert_int_equal(count, compressed);
    deflater_refill(deflater);
    assert_null(deflater_run(deflater, big, DEFLATE_BUDGET_BYTES + 1, &len));
    assert_non_null(deflater_run(deflater, big, DEFLATE_BUDGET_BYTES, &len));
    deflater_free(deflater);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_the_rfc),
        cmocka_unit_test(test_other_forms_of_a_message),
        cmocka_unit_test(test_what_is_no_message_is_broken),
        cmocka_unit_test(test_endless_final_blocks_are_broken),
        cmocka_unit_test(test_a_message_cut_anywhere_is_broken),
        cmocka_unit_test(test_the_limit_is_that_of_the_inflated_message),
        cmocka_unit_test(test_a_bomb_is_too_big),
        cmocka_unit_test(test_an_inflater_goes_on_after_a_bomb_and_a_broken_message),
        cmocka_unit_test(test_messages_of_every_window_are_inflated),
        cmocka_unit_test(test_what_is_compressed_can_be_read_with_its_window),
        cmocka_unit_test(test_what_does_not_pay_is_left_as_it_is),
        cmocka_unit_test(test_an_iteration_has_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
