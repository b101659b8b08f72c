/* Compressed messages (RFC 7692) at the decoder; how they are inflated is
 * protocol/test_deflate.c's.
 */
#include "unit.h"

#include "decoder_notes.h"
#include "protocol/deflate.h"

#include <zlib.h>

enum { MOST = 1000 };

static uint64_t count;
static struct inflater *inflater;

static struct decoder *new_decoder(void)
{
    const struct decoder_limits limits = {.message_bytes = MOST};
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    decoder_notes_clear();
    return decoder;
}

static struct decoder *new_inflating_decoder(void)
{
    struct decoder *decoder = new_decoder();
    decoder_set_inflater(decoder, inflater);
    return decoder;
}

static int set_up(void **state)
{
    (void)state;
    inflater = inflater_new(MOST, &count);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    inflater_free(inflater);
    return 0;
}

/* "Hello" as RFC 7692 section 7.2.3 has it, masked with zeroes. */
static const uint8_t stream[] = {
    0xc1, 0x87, 0, 0, 0, 0, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, /* in one frame */
    0x41, 0x83, 0, 0, 0, 0, 0xf2, 0x48, 0xcd,                         /* in two, not final */
    0x89, 0x80, 0, 0, 0, 0,                                           /* a ping between them */
    0x80, 0x84, 0, 0, 0, 0, 0xc9, 0xc9, 0x07, 0x00,                   /* the rest */
    0x81, 0x82, 0, 0, 0, 0, 'h',  'i',                                /* not compressed */
    0xc2, 0x81, 0, 0, 0, 0, 0x00,                                     /* binary, empty */
};

static void test_compressed_messages_and_others_may_be_cut_anywhere(void **state)
{
    uint16_t code = 0;
    (void)state;
    for (size_t cut = 0; cut <= sizeof stream; cut++) {
        struct decoder *decoder = new_inflating_decoder();
        assert_int_equal(decoder_feed(decoder, stream, cut, &code), DECODER_OPEN);
        assert_int_equal(decoder_feed(decoder, stream + cut, sizeof stream - cut, &code),
                         DECODER_OPEN);
        assert_string_equal(decoder_notes_seen, "T(Hello)P()T(Hello)T(hi)B()");
        assert_true(decoder_is_idle(decoder));
        decoder_free(decoder);
    }
    struct decoder *decoder = new_inflating_decoder();
    for (size_t i = 0; i < sizeof stream; i++)
        assert_int_equal(decoder_feed(decoder, stream + i, 1, &code), DECODER_OPEN);
    assert_string_equal(decoder_notes_seen, "T(Hello)P()T(Hello)T(hi)B()");
    decoder_free(decoder);
}

static void assert_closes(struct decoder *decoder, const uint8_t *bytes, size_t len,
                          uint16_t expected)
{
    uint16_t code = 0;
    if (decoder_feed(decoder, bytes, len, &code) != DECODER_VIOLATED)
        fail_msg("%02x %02x … is no violation", bytes[0], bytes[1]);
    assert_int_equal(code, expected);
    assert_null(strchr(decoder_notes_seen, 'T'));
    assert_false(decoder_is_idle(decoder));
    decoder_free(decoder);
}

#define ASSERT_CLOSES(decoder, expected, ...)                                                      \
    assert_closes(decoder, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), \
                  expected)

static void test_the_bit_is_for_the_first_frame_of_a_negotiated_message(void **state)
{
    (void)state;
    ASSERT_CLOSES(new_decoder(), 1002, 0xc1, 0x81, 0, 0, 0, 0, 0x00);
    ASSERT_CLOSES(new_inflating_decoder(), 1002, 0x41, 0x80, 0, 0, 0, 0, 0xc0, 0x81, 0, 0, 0, 0, 0);
    ASSERT_CLOSES(new_inflating_decoder(), 1002, 0x01, 0x80, 0, 0, 0, 0, 0xc0, 0x81, 0, 0, 0, 0, 0);
    ASSERT_CLOSES(new_inflating_decoder(), 1002, 0xc9, 0x80, 0, 0, 0, 0); /* a ping */
    ASSERT_CLOSES(new_inflating_decoder(), 1002, 0xc8, 0x80, 0, 0, 0, 0); /* a close */
    ASSERT_CLOSES(new_inflating_decoder(), 1002, 0xa1, 0x80, 0, 0, 0, 0); /* RSV2 */
    ASSERT_CLOSES(new_inflating_decoder(), 1002, 0xd1, 0x80, 0, 0, 0, 0); /* RSV1 and RSV3 */
}

static void test_what_cannot_be_inflated_closes_with_1007(void **state)
{
    (void)state;
    ASSERT_CLOSES(new_inflating_decoder(), 1007, 0xc1, 0x81, 0, 0, 0, 0, 0x06);
    ASSERT_CLOSES(new_inflating_decoder(), 1007, 0xc1, 0x83, 0, 0, 0, 0, 0xf2, 0x48, 0xcd);
    ASSERT_CLOSES(new_inflating_decoder(), 1007, 0xc1, 0x80, 0, 0, 0, 0);
}

/* A message in a stored block, so that its bytes are readable here. */
static void test_text_has_to_be_utf8_once_it_is_inflated(void **state)
{
    (void)state;
    static const uint8_t half[] = {0xc1, 0x87, 0,    0,    0,    0,   0x00,
                                   0x01, 0x00, 0xfe, 0xff, 0xe3, 0x00};
    uint8_t binary[sizeof half];
    uint16_t code = 0;
    assert_closes(new_inflating_decoder(), half, sizeof half, 1007);
    memcpy(binary, half, sizeof half);
    binary[0] = 0xc2;
    struct decoder *decoder = new_inflating_decoder();
    assert_int_equal(decoder_feed(decoder, binary, sizeof binary, &code), DECODER_OPEN);
    assert_string_equal(decoder_notes_seen, "B(\xe3)");
    decoder_free(decoder);
}

/* So many bytes of text, compressed, in one frame. */
static size_t write_compressed(size_t len, uint8_t out[2000])
{
    static uint8_t text[1000000];
    z_stream deflating = {.next_in = text, .avail_in = (uInt)len};
    memset(text, 'x', len);
    assert_int_equal(deflateInit2(&deflating, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    deflating.next_out = out + 8;
    deflating.avail_out = 1992;
    assert_int_equal(deflate(&deflating, Z_SYNC_FLUSH), Z_OK);
    size_t made = deflating.total_out - 4;
    memcpy(out, (const uint8_t[]){0xc1, 0xfe, (uint8_t)(made >> 8), (uint8_t)made, 0, 0, 0, 0}, 8);
    if (made < 126) { /* the shortest form, two bytes further on */
        memcpy(out + 2, (const uint8_t[]){0xc1, (uint8_t)(0x80 | made), 0, 0, 0, 0}, 6);
        memmove(out, out + 2, 6 + made);
    }
    deflateEnd(&deflating);
    return made < 126 ? 6 + made : 8 + made;
}

static void test_the_limit_of_a_message_is_that_of_its_inflated_bytes(void **state)
{
    uint8_t bytes[2000];
    uint16_t code = 0;
    (void)state;
    size_t len = write_compressed(MOST, bytes);
    struct decoder *decoder = new_inflating_decoder();
    assert_int_equal(decoder_feed(decoder, bytes, len, &code), DECODER_OPEN);
    assert_int_equal(strlen(decoder_notes_seen), MOST + 3);
    decoder_free(decoder);
    len = write_compressed(MOST + 1, bytes);
    assert_closes(new_inflating_decoder(), bytes, len, 1009);
    len = write_compressed(1000000, bytes); /* a bomb */
    assert_closes(new_inflating_decoder(), bytes, len, 1009);
    ASSERT_CLOSES(new_inflating_decoder(), 1009, 0xc1, 0xfe, 0x03, 0xe9, 0, 0, 0, 0, 0);
}

static void test_nothing_is_taken_after_a_message_that_was_refused(void **state)
{
    static const uint8_t bytes[] = {
        0xc1, 0x81, 0, 0, 0, 0, 0x06,      /* broken */
        0x81, 0x82, 0, 0, 0, 0, 'h',  'i', /* good */
    };
    (void)state;
    assert_closes(new_inflating_decoder(), bytes, sizeof bytes, 1007);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compressed_messages_and_others_may_be_cut_anywhere),
        cmocka_unit_test(test_the_bit_is_for_the_first_frame_of_a_negotiated_message),
        cmocka_unit_test(test_what_cannot_be_inflated_closes_with_1007),
        cmocka_unit_test(test_text_has_to_be_utf8_once_it_is_inflated),
        cmocka_unit_test(test_the_limit_of_a_message_is_that_of_its_inflated_bytes),
        cmocka_unit_test(test_nothing_is_taken_after_a_message_that_was_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
