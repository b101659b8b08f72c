#include "unit.h"

#include "decoder_notes.h"

static unsigned frames_allowed; /* before the decoder has to stop */

static bool may_go_on(void *arg)
{
    (void)arg;
    return frames_allowed > 0 && frames_allowed-- > 0;
}

static const struct decoder_limits limits = {.message_bytes = 100, .fragments = 8};

static int forget_seen(void **state)
{
    (void)state;
    decoder_notes_clear();
    return 0;
}

/* "Hel" + ping + "lo", masked with zeroes; then a whole "x", then a binary "yz". */
static const uint8_t stream[] = {
    0x01, 0x83, 0, 0, 0, 0, 'H', 'e', 'l', /* text, not final */
    0x89, 0x81, 0, 0, 0, 0, 'p',           /* ping "p" */
    0x80, 0x82, 0, 0, 0, 0, 'l', 'o',      /* continuation, final */
    0x81, 0x81, 0, 0, 0, 0, 'x',           /* text */
    0x82, 0x82, 0, 0, 0, 0, 'y', 'z',      /* binary */
};

static void assert_all_seen(void)
{
    assert_string_equal(decoder_notes_seen, "P(p)T(Hello)T(x)B(yz)");
    /* whether a ping is answered is not the decoder's to say */
    assert_int_equal(decoder_notes_sent_len, 0);
    decoder_notes_clear();
}

static void test_every_cut(void **state)
{
    uint16_t code;
    (void)state;
    for (size_t cut = 0; cut <= sizeof stream; cut++) {
        struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
        assert_int_equal(decoder_feed(decoder, stream, cut, &code), DECODER_OPEN);
        bool boundary = cut == 0 || cut == 24 || cut == 31 || cut == sizeof stream;
        assert_int_equal(decoder_is_idle(decoder), boundary);
        assert_int_equal(decoder_feed(decoder, stream + cut, sizeof stream - cut, &code),
                         DECODER_OPEN);
        assert_true(decoder_is_idle(decoder));
        assert_all_seen();
        decoder_free(decoder);
    }
}

static void test_byte_by_byte(void **state)
{
    uint16_t code;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof stream; i++)
        assert_int_equal(decoder_feed(decoder, stream + i, 1, &code), DECODER_OPEN);
    assert_true(decoder_is_idle(decoder));
    assert_all_seen();
    decoder_free(decoder);
}

static void assert_violates(const uint8_t *bytes, size_t len, uint16_t expected)
{
    uint16_t code = 0;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    if (decoder_feed(decoder, bytes, len, &code) != DECODER_VIOLATED)
        fail_msg("%02x %02x … is no violation", bytes[0], bytes[1]);
    assert_int_equal(code, expected);
    assert_int_equal(decoder_notes_sent_len, 0);
    assert_false(decoder_is_idle(decoder));
    decoder_free(decoder);
}

static void test_violations(void **state)
{
    (void)state;
    assert_violates((const uint8_t[]){0x81, 0x01, 'x'}, 3, 1002);
    assert_violates((const uint8_t[]){0xf1, 0x80, 0, 0, 0, 0}, 6, 1002);
    assert_violates((const uint8_t[]){0x09, 0x80, 0, 0, 0, 0}, 6, 1002);
    assert_violates((const uint8_t[]){0x80, 0x80, 0, 0, 0, 0}, 6, 1002);
    assert_violates((const uint8_t[]){0x88, 0x81, 0, 0, 0, 0, 3}, 7, 1002); /* half a code */
    assert_violates((const uint8_t[]){0x81, 0xfe, 0, 1, 0, 0, 0, 0, 0x78}, 9,
                    1002); /* 1 in two bytes */
    assert_violates((const uint8_t[]){0x81, 0x81, 0, 0, 0, 0, 0xff}, 7, 1007);
    assert_violates((const uint8_t[]){0x81, 0xe5, 0, 0, 0, 0, 'x'}, 7,
                    1009); /* 101 bytes announced */
}

/* Feeds a text that begins empty and goes on in `count` fragments of `len` bytes each. Returns how
 * many were taken; not all: then it was refused with the code. */
static int feed_fragments(struct decoder *decoder, int count, uint16_t len, uint16_t *code)
{
    static const uint8_t begin[] = {0x01, 0x80, 0, 0, 0, 0};
    static uint8_t fragment[8 + UINT16_MAX];
    size_t header = len <= 125 ? 6 : 8;
    memset(fragment, 0, header);
    fragment[1] = header == 6 ? (uint8_t)(0x80 | len) : 0xfe;
    if (header == 8) {
        fragment[2] = (uint8_t)(len >> 8);
        fragment[3] = (uint8_t)len;
    }
    assert_int_equal(decoder_feed(decoder, begin, sizeof begin, code), DECODER_OPEN);
    for (int i = 0; i < count; i++)
        if (decoder_feed(decoder, fragment, header + len, code) != DECODER_OPEN)
            return i;
    return count;
}

static void test_a_message_in_too_many_short_fragments_is_too_big(void **state)
{
    (void)state;
    for (uint16_t len = 0; len <= 1; len++) {
        uint16_t code = 0;
        struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
        assert_int_equal(feed_fragments(decoder, 1000, len, &code), 7);
        assert_int_equal(code, 1009);
        assert_true(decoder_is_too_fragmented(decoder));
        assert_false(decoder_is_idle(decoder));
        decoder_free(decoder);
    }
    assert_string_equal(decoder_notes_seen, "");
}

/* The last fragment ends the message: it may not slip through. */
static void test_the_fragment_beyond_the_limit_ends_no_message(void **state)
{
    static const uint8_t last[] = {0x80, 0x80, 0, 0, 0, 0};
    uint16_t code = 0;
    (void)state;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    assert_int_equal(feed_fragments(decoder, 7, 1, &code), 7);
    assert_int_equal(decoder_feed(decoder, last, sizeof last, &code), DECODER_VIOLATED);
    assert_int_equal(code, 1009);
    assert_string_equal(decoder_notes_seen, "");
    decoder_free(decoder);
}

static void test_each_message_has_the_whole_number_of_fragments(void **state)
{
    static const uint8_t last[] = {0x80, 0x80, 0, 0, 0, 0};
    uint16_t code = 0;
    (void)state;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed_fragments(decoder, 6, 0, &code), 6);
        assert_int_equal(decoder_feed(decoder, last, sizeof last, &code), DECODER_OPEN);
    }
    assert_string_equal(decoder_notes_seen, "T()T()T()");
    decoder_free(decoder);
}

static void test_long_fragments_are_bounded_by_the_length_of_the_message_alone(void **state)
{
    static const struct decoder_limits large = {40 * DECODER_SHORT_FRAGMENT, 2};
    uint16_t code = 0;
    (void)state;
    struct decoder *decoder = decoder_new(&decoder_notes, &large, NULL);
    assert_int_equal(feed_fragments(decoder, 100, DECODER_SHORT_FRAGMENT, &code), 40);
    assert_int_equal(code, 1009);
    assert_false(decoder_is_too_fragmented(decoder));
    decoder_free(decoder);
    decoder = decoder_new(&decoder_notes, &large, NULL);
    assert_int_equal(feed_fragments(decoder, 100, DECODER_SHORT_FRAGMENT - 1, &code), 1);
    decoder_free(decoder);
}

static void test_fragments_are_too_big_together(void **state)
{
    uint16_t code = 0;
    (void)state;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    assert_int_equal(feed_fragments(decoder, 3, 50, &code), 2);
    assert_int_equal(code, 1009);
    assert_false(decoder_is_too_fragmented(decoder));
    decoder_free(decoder);
}

/* A reason beyond ASCII is good, and one that is no UTF-8 is not, wherever the frame is cut. */
/* These bytes, which may be cut anywhere, have this result when the last of them has come. */
static void expect_at_the_last_byte(const struct decoder_limits *most, const uint8_t *bytes,
                                    size_t len, enum decoder_result result, uint16_t close_code)
{
    for (size_t cut = 0; cut < len; cut++) {
        uint16_t code = 0;
        struct decoder *decoder = decoder_new(&decoder_notes, most, NULL);
        assert_int_equal(decoder_feed(decoder, bytes, cut, &code), DECODER_OPEN);
        assert_int_equal(decoder_feed(decoder, bytes + cut, len - cut, &code), result);
        assert_int_equal(code, close_code);
        decoder_free(decoder);
    }
}

static void test_the_reason_of_a_close_frame_is_judged_as_a_whole(void **state)
{
    static const uint8_t good[] = {0x88, 0x85, 0, 0, 0, 0, 0x03, 0xe8, 0xe7, 0x8f, 0x88};
    static const uint8_t bad[] = {0x88, 0x84, 0, 0, 0, 0, 0x03, 0xe8, 0xe7, 0x8f};
    (void)state;
    expect_at_the_last_byte(&limits, good, sizeof good, DECODER_CLOSED, 1000);
    expect_at_the_last_byte(&limits, bad, sizeof bad, DECODER_VIOLATED, 1007);
}

static void test_a_message_of_the_greatest_length_may_be_cut_anywhere(void **state)
{
    uint8_t bytes[6 + 100] = {0x82, 0x80 | 100};
    uint16_t code = 0;
    (void)state;
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
        assert_int_equal(decoder_feed(decoder, bytes, cut, &code), DECODER_OPEN);
        assert_int_equal(decoder_feed(decoder, bytes + cut, sizeof bytes - cut, &code),
                         DECODER_OPEN);
        assert_true(decoder_is_idle(decoder));
        decoder_free(decoder);
    }
}

static void test_a_long_message_leaves_nothing_behind(void **state)
{
    static const struct decoder_limits large = {100000, 0};
    static uint8_t bytes[14 + 70000] = {0x82, 0xff, 0, 0, 0, 0, 0, 0x01, 0x11, 0x70};
    uint16_t code = 0;
    (void)state;
    struct decoder *decoder = decoder_new(&decoder_notes, &large, NULL);
    assert_int_equal(decoder_feed(decoder, bytes, sizeof bytes, &code), DECODER_OPEN);
    assert_true(decoder_is_idle(decoder));
    decoder_free(decoder);
}

/* In eight bytes, before any of the payload. */
static void test_a_length_beyond_a_great_limit_is_refused_when_it_is_announced(void **state)
{
    static const struct decoder_limits large = {100000, 0};
    static const uint8_t good[] = {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0};
    static const uint8_t shorter[] = {0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0};
    static const uint8_t bad[] = {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa1, 0, 0, 0, 0};
    (void)state;
    expect_at_the_last_byte(&large, good, sizeof good, DECODER_OPEN, 0);
    expect_at_the_last_byte(&large, shorter, sizeof shorter, DECODER_OPEN, 0);
    expect_at_the_last_byte(&large, bad, sizeof bad, DECODER_VIOLATED, 1009);
}

static void test_a_length_is_refused_when_it_is_announced(void **state)
{
    (void)state;
    assert_violates((const uint8_t[]){0x81, 0xe5, 0, 0, 0, 0}, 6, 1009);
    assert_violates((const uint8_t[]){0x82, 0xfe, 0x10, 0, 0, 0, 0, 0}, 8, 1009);
    assert_violates((const uint8_t[]){0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 14, 1009);
    assert_violates((const uint8_t[]){0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 14, 1002);
    assert_violates((const uint8_t[]){0x01, 0x81, 0, 0, 0, 0, 'x', 0x80, 0xe4, 0, 0, 0, 0}, 13,
                    1009);
}

/* --- Bytes that have to wait --- */

static struct decoder *new_stopping_decoder(const struct decoder_limits *most)
{
    static struct decoder_callbacks stopping;
    stopping = decoder_notes;
    stopping.may_go_on = may_go_on;
    return decoder_new(&stopping, most, NULL);
}

/* However the bytes come, a frame is decoded when it may be, and no sooner. */
static void test_frames_wait_until_they_may_be_decoded(void **state)
{
    static const char *const after[] = {
        "", "", "P(p)", "P(p)T(Hello)", "P(p)T(Hello)T(x)", "P(p)T(Hello)T(x)B(yz)"};
    uint16_t code;
    (void)state;
    for (size_t cut = 0; cut <= sizeof stream; cut++) {
        struct decoder *decoder = new_stopping_decoder(&limits);
        forget_seen(NULL);
        frames_allowed = 0;
        assert_int_equal(decoder_feed(decoder, stream, cut, &code), DECODER_OPEN);
        assert_int_equal(decoder_feed(decoder, stream + cut, sizeof stream - cut, &code),
                         DECODER_OPEN);
        assert_string_equal(decoder_notes_seen, "");
        for (size_t i = 1; i < sizeof after / sizeof *after; i++) {
            assert_true(decoder_has_waiting(decoder));
            assert_false(decoder_is_idle(decoder));
            frames_allowed = 1;
            assert_int_equal(decoder_feed(decoder, NULL, 0, &code), DECODER_OPEN);
            assert_string_equal(decoder_notes_seen, after[i]);
        }
        assert_false(decoder_has_waiting(decoder));
        assert_true(decoder_is_idle(decoder));
        decoder_free(decoder);
    }
}

/* Lengths of two and of eight bytes: nothing of the next frame, the shortest there is, is taken
 * with them. */
static void test_a_frame_of_any_length_stops_before_the_next(void **state)
{
    static const struct decoder_limits large = {100000, 0};
    static uint8_t bytes[14 + 70000 + 6];
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536, 70000};
    uint16_t code;
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t len = lengths[i], header = len <= 125 ? 6 : len <= 0xffff ? 8 : 14;
        memset(bytes, 0, sizeof bytes);
        bytes[0] = 0x8a; /* a pong shows when it was decoded; only data may be long */
        if (len > 125)
            bytes[0] = 0x01;
        bytes[1] = (uint8_t)(0x80 | (len <= 125 ? len : len <= 0xffff ? 126 : 127));
        for (size_t at = header - 5, rest = len; len > 125 && rest > 0; rest >>= 8)
            bytes[at--] = (uint8_t)rest;
        memcpy(bytes + header + len, (const uint8_t[]){0x89, 0x80, 0, 0, 0, 0}, 6);
        struct decoder *decoder = new_stopping_decoder(&large);
        forget_seen(NULL);
        frames_allowed = 1;
        assert_int_equal(decoder_feed(decoder, bytes, header + len + 6, &code), DECODER_OPEN);
        assert_null(strstr(decoder_notes_seen, "P()"));
        assert_true(decoder_has_waiting(decoder));
        frames_allowed = 1;
        assert_int_equal(decoder_feed(decoder, NULL, 0, &code), DECODER_OPEN);
        assert_non_null(strstr(decoder_notes_seen, "P()"));
        assert_false(decoder_has_waiting(decoder));
        decoder_free(decoder);
    }
}

static void test_close_is_echoed(void **state)
{
    static const uint8_t close[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9};
    static const uint8_t echo[] = {0x88, 0x02, 0x03, 0xe9};
    uint16_t code = 0;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    (void)state;
    assert_int_equal(decoder_feed(decoder, close, sizeof close, &code), DECODER_CLOSED);
    assert_int_equal(code, 1001);
    assert_string_equal(decoder_notes_seen, "C(1001)");
    assert_int_equal(decoder_notes_sent_len, sizeof echo);
    assert_memory_equal(decoder_notes_sent, echo, sizeof echo);
    decoder_free(decoder);
}

static void test_pings_and_pongs_are_told_and_a_close_after_them_is_answered(void **state)
{
    static const uint8_t bytes[] = {
        0x89, 0x80, 0, 0, 0, 0,                /* an empty ping */
        0x8a, 0x82, 0, 0, 0, 0, 'n',  'o',     /* a pong */
        0x89, 0x83, 0, 0, 0, 0, 0x88, 2,    3, /* a ping that looks like a close frame */
        0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8,    /* close */
    };
    static const uint8_t echo[] = {0x88, 0x02, 0x03, 0xe8};
    uint16_t code = 0;
    struct decoder *decoder = decoder_new(&decoder_notes, &limits, NULL);
    (void)state;
    assert_int_equal(decoder_feed(decoder, bytes, sizeof bytes, &code), DECODER_CLOSED);
    assert_string_equal(decoder_notes_seen, "P()Q(no)P(\x88\x02\x03)C(1000)");
    assert_int_equal(decoder_notes_sent_len, sizeof echo);
    assert_memory_equal(decoder_notes_sent, echo, sizeof echo);
    decoder_free(decoder);
}

#define TEST(name) cmocka_unit_test_setup(name, forget_seen)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_cut),
        TEST(test_byte_by_byte),
        TEST(test_violations),
        TEST(test_a_message_in_too_many_short_fragments_is_too_big),
        TEST(test_the_fragment_beyond_the_limit_ends_no_message),
        TEST(test_each_message_has_the_whole_number_of_fragments),
        TEST(test_long_fragments_are_bounded_by_the_length_of_the_message_alone),
        TEST(test_fragments_are_too_big_together),
        TEST(test_the_reason_of_a_close_frame_is_judged_as_a_whole),
        TEST(test_a_length_is_refused_when_it_is_announced),
        TEST(test_a_length_beyond_a_great_limit_is_refused_when_it_is_announced),
        TEST(test_a_message_of_the_greatest_length_may_be_cut_anywhere),
        TEST(test_a_long_message_leaves_nothing_behind),
        TEST(test_frames_wait_until_they_may_be_decoded),
        TEST(test_a_frame_of_any_length_stops_before_the_next),
        TEST(test_close_is_echoed),
        TEST(test_pings_and_pongs_are_told_and_a_close_after_them_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
