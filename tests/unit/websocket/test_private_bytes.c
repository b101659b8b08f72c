#include "unit.h"

#include "websocket/private_bytes.h"

/* What goes out next, at most `most` bytes of it, to the end of `sent`. */
static char sent[4096];
static size_t sent_len;

static void send_some(struct private_bytes **waiting, size_t most)
{
    struct iovec part[PRIVATE_BYTES_PARTS];
    int count = private_bytes_gather(*waiting, part);
    size_t taken = 0;
    for (int i = 0; i < count && taken < most; i++) {
        size_t len = part[i].iov_len < most - taken ? part[i].iov_len : most - taken;
        memcpy(sent + sent_len, part[i].iov_base, len);
        sent_len += len;
        taken += len;
    }
    private_bytes_drop(waiting, taken);
}

static int forget_sent(void **state)
{
    (void)state;
    sent_len = 0;
    return 0;
}

#define ASSERT_SENT(literal)                                                                       \
    do {                                                                                           \
        assert_int_equal(sent_len, sizeof(literal) - 1);                                           \
        assert_memory_equal(sent, literal, sent_len);                                              \
    } while (0)
#define ADD(literal)         private_bytes_add(&waiting, literal, sizeof(literal) - 1)
#define ADD_CONTROL(literal) private_bytes_add_control(&waiting, literal, sizeof(literal) - 1)
#define ADD_FIRST(literal)   private_bytes_add_first(&waiting, literal, sizeof(literal) - 1)

static void test_nothing_costs_nothing(void **state)
{
    (void)state;
    struct private_bytes *waiting = NULL;
    struct iovec part[PRIVATE_BYTES_PARTS];
    private_bytes_add(&waiting, "", 0);
    private_bytes_add_control(&waiting, "", 0);
    private_bytes_add_first(&waiting, "", 0);
    private_bytes_drop(&waiting, 0);
    assert_null(waiting);
    assert_int_equal(private_bytes_len(waiting), 0);
    assert_int_equal(private_bytes_gather(waiting, part), 0);
    private_bytes_free(waiting);
}

/* Wherever the socket stops taking bytes, a control frame that is added then goes out after the
 * frame that has begun, and before the next one. */
static void test_control_frames_go_out_at_the_next_boundary(void **state)
{
    (void)state;
    static const char frames[] = "\x81\x03one\x82\x00\x81\x03two";
    static const size_t boundary[] = {0, 5, 7, 12};
    for (size_t cut = 0; cut < sizeof frames - 1; cut++) {
        struct private_bytes *waiting = NULL;
        char expected[32];
        size_t at = 0;
        sent_len = 0;
        ADD("\x81\x03one");
        ADD("\x82\x00");
        ADD("\x81\x03");
        ADD("two");
        send_some(&waiting, cut);
        ADD_CONTROL("\x8a\x01p");
        ADD_CONTROL("\x8a\x01q");
        assert_int_equal(private_bytes_len(waiting), sizeof frames - 1 - cut + 6);
        while (waiting != NULL)
            send_some(&waiting, 1);
        while (boundary[at] < cut)
            at++;
        memcpy(expected, frames, boundary[at]);
        memcpy(expected + boundary[at], "\x8a\x01p\x8a\x01q", 6);
        memcpy(expected + boundary[at] + 6, frames + boundary[at],
               sizeof frames - 1 - boundary[at]);
        assert_int_equal(sent_len, sizeof frames - 1 + 6);
        assert_memory_equal(sent, expected, sent_len);
    }
}

static void test_nothing_interrupts_what_has_begun(void **state)
{
    (void)state;
    struct private_bytes *waiting = NULL;
    ADD("\x81\x01x");
    ADD_CONTROL("\x8a\x00");
    ADD_FIRST("load");
    ADD_FIRST("pay");
    send_some(&waiting, 2);
    ADD_CONTROL("\x89\x00");
    send_some(&waiting, 100);
    ASSERT_SENT("payload\x8a\x00\x89\x00\x81\x01x");
    assert_null(waiting);
}

/* What went out of a long row of frames stays in front of it for a while. */
static void test_what_has_begun_goes_before_all_that_is_left(void **state)
{
    (void)state;
    struct private_bytes *waiting = NULL;
    ADD("\x81\x01x\x81\x01y\x81\x01z\x81\x01w");
    send_some(&waiting, 3);
    ADD_FIRST("rest");
    ADD_CONTROL("\x8a\x00");
    assert_int_equal(private_bytes_len(waiting), 4 + 2 + 9);
    sent_len = 0;
    send_some(&waiting, 100);
    ASSERT_SENT("rest\x8a\x00\x81\x01y\x81\x01z\x81\x01w");
    assert_null(waiting);
}

static void test_frames_of_all_lengths_are_told_apart(void **state)
{
    (void)state;
    static char frame[8 + 2000] = "\x82\x7e\x07\xd0";
    struct private_bytes *waiting = NULL;
    private_bytes_add(&waiting, frame, 4 + 2000);
    ADD("\x82\x7f\0\0\0\0\0\0\0\x01y");
    send_some(&waiting, 4 + 1999);
    ADD_CONTROL("\x8a\x00");
    sent_len = 0;
    send_some(&waiting, 2);
    ADD_CONTROL("\x89\x00");
    send_some(&waiting, 1 + 2 + 5);
    ADD_CONTROL("\x8a\x01z");
    send_some(&waiting, 100);
    ASSERT_SENT("\0\x8a\x00\x89\x00\x82\x7f\0\0\0\0\0\0\0\x01y\x8a\x01z");
}

static void test_added_frames_follow_whatever_went_out(void **state)
{
    (void)state;
    struct private_bytes *waiting = NULL;
    char expected[300 * 3];
    for (int i = 0; i < 300; i++) {
        char frame[] = {(char)0x81, 1, (char)i};
        memcpy(expected + 3 * i, frame, 3);
        private_bytes_add(&waiting, frame, 3);
        send_some(&waiting, (size_t)i % 5);
        if (i == 150)
            ADD_FIRST("");
    }
    assert_int_equal(private_bytes_total(), private_bytes_len(waiting));
    send_some(&waiting, sizeof expected);
    assert_int_equal(private_bytes_total(), 0);
    assert_int_equal(sent_len, sizeof expected);
    assert_memory_equal(sent, expected, sent_len);
    assert_null(waiting);
}

static void test_all_that_waits_is_counted(void **state)
{
    (void)state;
    struct private_bytes *one = NULL, *other = NULL;
    private_bytes_add(&one, "\x81\x01y", 3);
    private_bytes_add_control(&other, "\x89\x00", 2);
    private_bytes_add_first(&other, "x", 1);
    assert_int_equal(private_bytes_total(), 6);
    private_bytes_drop(&other, 2);
    assert_int_equal(private_bytes_total(), 4);
    private_bytes_free(one);
    private_bytes_free(other);
    assert_int_equal(private_bytes_total(), 0);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, forget_sent)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_costs_nothing),
        TEST(control_frames_go_out_at_the_next_boundary),
        TEST(nothing_interrupts_what_has_begun),
        TEST(what_has_begun_goes_before_all_that_is_left),
        TEST(frames_of_all_lengths_are_told_apart),
        TEST(added_frames_follow_whatever_went_out),
        TEST(all_that_waits_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
