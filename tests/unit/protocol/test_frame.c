#include "unit.h"

#include "protocol/deflate.h"
#include "protocol/frame.h"

/* RFC 6455 section 5.2: the length in 7, 7+16 or 7+64 bits. */
static void test_header_lengths(void **state)
{
    uint8_t out[FRAME_HEADER_BYTES];
    (void)state;
    static const uint8_t empty[] = {0x81, 0};
    static const uint8_t longest_short[] = {0x81, 125};
    static const uint8_t shortest_medium[] = {0x81, 126, 0, 126};
    static const uint8_t longest_medium[] = {0x82, 126, 0xff, 0xff};
    static const uint8_t shortest_long[] = {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0};
    assert_int_equal(frame_write_header(out, FRAME_TEXT, 0), 2);
    assert_memory_equal(out, empty, 2);
    assert_int_equal(frame_write_header(out, FRAME_TEXT, 125), 2);
    assert_memory_equal(out, longest_short, 2);
    assert_int_equal(frame_write_header(out, FRAME_TEXT, 126), 4);
    assert_memory_equal(out, shortest_medium, 4);
    assert_int_equal(frame_write_header(out, FRAME_BINARY, 65535), 4);
    assert_memory_equal(out, longest_medium, 4);
    assert_int_equal(frame_write_header(out, FRAME_BINARY, 65536), 10);
    assert_memory_equal(out, shortest_long, 10);
}

static void test_new_text(void **state)
{
    (void)state;
    struct frame *frame = frame_new_text("Hello", 5);
    assert_int_equal(frame->len, 7);
    assert_memory_equal(frame->bytes, "\x81\x05Hello", 7); /* section 5.7, first example */
    frame_free(frame);
}

static void test_a_frame_is_compressed_once(void **state)
{
    uint64_t count = 0;
    char text[300];
    (void)state;
    memset(text, 'x', sizeof text);
    struct deflater *deflater = deflater_new(DEFLATE_WINDOW_BITS, &count);
    struct frame *frame = frame_new_text(text, sizeof text);
    const struct frame *deflated = frame_deflated(frame, deflater);
    assert_ptr_not_equal(deflated, frame);
    assert_int_equal(deflated->bytes[0], 0xc1); /* FIN, RSV1, text */
    assert_int_equal(deflated->bytes[1], deflated->len - 2);
    assert_true(deflated->len < 20);
    assert_ptr_equal(frame_deflated(frame, deflater), deflated);
    assert_int_equal(count, 1);
    assert_int_equal(frame->bytes[0], 0x81);
    frame_free(frame);
    deflater_free(deflater);
}

static void test_a_frame_that_was_not_compressed_at_first_stays_so(void **state)
{
    uint64_t count = 0;
    char text[300];
    size_t len;
    (void)state;
    memset(text, 'x', sizeof text);
    struct deflater *deflater = deflater_new(DEFLATE_WINDOW_BITS, &count);
    while (deflater_run(deflater, text, sizeof text, &len) != NULL)
        ; /* until the budget is used up */
    struct frame *frame = frame_new_text(text, sizeof text);
    assert_ptr_equal(frame_deflated(frame, deflater), frame);
    deflater_refill(deflater);
    assert_ptr_equal(frame_deflated(frame, deflater), frame);
    frame_free(frame);
    deflater_free(deflater);
}

static void test_close_cuts_the_reason_at_a_character(void **state)
{
    uint8_t out[FRAME_CONTROL_BYTES];
    char reason[200] = "";
    (void)state;
    assert_int_equal(frame_write_close(out, 4408, "slow"), 6);
    assert_memory_equal(out, "\x11\x38slow", 6);
    for (int i = 0; i < 60; i++)
        memcpy(reason + i * 3, "あ", 4);
    size_t len = frame_write_close(out, 1000, reason);
    assert_true(len <= FRAME_CONTROL_BYTES);
    assert_int_equal((len - 2) % 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_lengths),
        cmocka_unit_test(test_new_text),
        cmocka_unit_test(test_a_frame_is_compressed_once),
        cmocka_unit_test(test_a_frame_that_was_not_compressed_at_first_stays_so),
        cmocka_unit_test(test_close_cuts_the_reason_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
