#include "unit.h"

#include "history/room_log.h"
#include "protocol/deflate.h"

static void append(struct room_log *log, const char *text, uint64_t seq, bool transient)
{
    room_log_append(log, frame_new_text(text, strlen(text)),
                    (struct room_log_mark){seq, (int64_t)seq, transient});
}

/* What a cursor would send, as one string of payloads (frames are shorter than 126 bytes). */
static void read_all(const struct room_log *log, struct room_log_cursor *cursor, char *out)
{
    struct iovec iov[64];
    struct room_log_cursor end;
    int count = room_log_gather(log, cursor, iov, 64, &end);
    *out = '\0';
    for (int i = 0; i < count; i++)
        strncat(out, (char *)iov[i].iov_base + 2, iov[i].iov_len - 2);
    *cursor = end;
}

static void test_cursors_are_independent(void **state)
{
    struct room_log *log = room_log_new(100);
    struct room_log_cursor slow = {0};
    struct room_log_cursor fast = {0};
    char text[256];
    (void)state;
    append(log, "a", 1, false);
    append(log, "b", 2, false);
    read_all(log, &fast, text);
    assert_string_equal(text, "ab");
    append(log, "c", 3, false);
    read_all(log, &fast, text);
    assert_string_equal(text, "c");
    read_all(log, &slow, text);
    assert_string_equal(text, "abc");
    assert_int_equal(slow.position, room_log_head(log));
    room_log_free(log);
}

static void test_gather_takes_at_most_so_many(void **state)
{
    struct room_log *log = room_log_new(100);
    struct room_log_cursor cursor = {0};
    struct room_log_cursor end;
    struct iovec iov[4];
    (void)state;
    for (uint64_t i = 1; i <= 10; i++)
        append(log, "x", i, false);
    assert_int_equal(room_log_gather(log, &cursor, iov, 4, &end), 4);
    assert_int_equal(end.position, 4);
    assert_int_equal(room_log_gather(log, &end, iov, 4, &cursor), 4);
    assert_int_equal(room_log_gather(log, &cursor, iov, 4, &end), 2);
    room_log_free(log);
}

/* However the socket cuts what it takes, all bytes go out once and in order. */
static void test_advance_at_every_cut(void **state)
{
    struct room_log *log = room_log_new(100);
    uint8_t whole[64];
    size_t total = 0;
    (void)state;
    append(log, "one", 1, false);
    append(log, "n", 1, true);
    append(log, "three", 2, false);
    struct iovec iov[8];
    struct room_log_cursor from = {0};
    struct room_log_cursor end;
    int count = room_log_gather(log, &from, iov, 8, &end);
    for (int i = 0; i < count; total += iov[i].iov_len, i++)
        memcpy(whole + total, iov[i].iov_base, iov[i].iov_len);
    for (size_t step = 1; step <= total; step++) {
        struct room_log_cursor cursor = {0};
        size_t sent = 0;
        while ((count = room_log_gather(log, &cursor, iov, 8, &end)) > 0) {
            size_t take = step < iov[0].iov_len ? step : iov[0].iov_len;
            assert_memory_equal(whole + sent, iov[0].iov_base, take);
            room_log_advance(log, &cursor, take);
            sent += take;
        }
        assert_int_equal(sent, total);
        struct room_log_cursor at_once = {0};
        room_log_advance(log, &at_once, step);
        size_t left = 0;
        count = room_log_gather(log, &at_once, iov, 8, &end);
        for (int i = 0; i < count; i++)
            left += iov[i].iov_len;
        assert_int_equal(left, total - step);
    }
    room_log_free(log);
}

static void test_remainder_is_the_rest_of_a_begun_frame(void **state)
{
    struct room_log *log = room_log_new(100);
    struct room_log_cursor cursor = {0};
    const uint8_t *rest = NULL;
    (void)state;
    append(log, "hello", 1, false);
    assert_int_equal(room_log_remainder(log, &cursor, &rest), 0);
    room_log_advance(log, &cursor, 4);
    assert_int_equal(room_log_remainder(log, &cursor, &rest), 3);
    assert_memory_equal(rest, "llo", 3);
    room_log_free(log);
}

static void test_transient_frames_are_not_replayed(void **state)
{
    struct room_log *log = room_log_new(100);
    char text[64];
    (void)state;
    append(log, "a", 1, false);
    append(log, "(notice)", 1, true);
    append(log, "b", 2, false);
    struct room_log_cursor replay = {.position = room_log_find(log, 0, 0), .replayed = 3};
    append(log, "(later)", 2, true);
    read_all(log, &replay, text);
    assert_string_equal(text, "ab(later)");
    room_log_free(log);
}

static void test_merge_puts_frames_in_a_row(void **state)
{
    struct room_log *log = room_log_new(100);
    struct text buffer = TEXT_EMPTY;
    size_t len = 0;
    (void)state;
    append(log, "one", 1, false);
    append(log, "two", 2, false);
    append(log, "three", 3, false);
    const uint8_t *data =
        room_log_merge(log, &(struct room_log_cursor){.position = 1}, 2, &buffer, &len);
    assert_null(buffer.data); /* a single frame is not copied */
    assert_int_equal(len, 5);
    assert_memory_equal(data, "\x81\x03two", 5);
    data = room_log_merge(log, &(struct room_log_cursor){.position = 0}, 3, &buffer, &len);
    assert_ptr_equal(data, buffer.data);
    assert_int_equal(len, 17);
    assert_memory_equal(data, "\x81\x03one\x81\x03two\x81\x05three", 17);
    data = room_log_merge(log, &(struct room_log_cursor){.position = 1}, 3, &buffer, &len);
    assert_int_equal(len, 12);
    assert_memory_equal(data, "\x81\x03two\x81\x05three", 12);
    assert_ptr_equal(data, buffer.data + 17); /* behind what was there */
    assert_null(room_log_merge(log, &(struct room_log_cursor){.position = 3}, 3, &buffer, &len));
    assert_int_equal(len, 0);
    text_done(&buffer);
    room_log_free(log);
}

/* Two cursors that take turns, one of each form; however the socket of the second cuts what it
 * takes, its bytes are those that the frames have when they are merged. */
static void check_both_forms(const struct room_log *log, size_t step, const uint8_t *merged,
                             size_t len)
{
    struct room_log_cursor plain = {0};
    struct room_log_cursor deflated = {.deflated = 1};
    struct room_log_cursor end;
    struct iovec iov[8];
    const uint8_t *rest;
    for (size_t at = 0; at < len;) {
        assert_true(room_log_gather(log, &deflated, iov, 8, &end) > 0);
        assert_true(end.deflated);
        size_t take = step < iov[0].iov_len ? step : iov[0].iov_len;
        assert_memory_equal(iov[0].iov_base, merged + at, take);
        room_log_advance(log, &deflated, take);
        if (room_log_remainder(log, &deflated, &rest) > 0)
            assert_ptr_equal(rest, (uint8_t *)iov[0].iov_base + take);
        room_log_advance(log, &plain, 1);
        at += take;
    }
    assert_int_equal(deflated.position, room_log_head(log));
    assert_true(plain.position < room_log_head(log));
    assert_int_equal(room_log_gather(log, &plain, iov, 8, &end), 3 - (int)plain.position);
}

static void test_a_cursor_may_take_the_frames_compressed(void **state)
{
    struct room_log *log = room_log_new(100);
    struct text buffer = TEXT_EMPTY;
    uint64_t count = 0;
    char text[400];
    size_t len = 0;
    (void)state;
    struct deflater *deflater = deflater_new(DEFLATE_WINDOW_BITS, &count);
    room_log_set_deflater(log, deflater);
    for (int i = 0; i < 3; i++) {
        memset(text, 'a' + i, sizeof text);
        text[i == 1 ? 20 : sizeof text - 1] = '\0'; /* the second one is too short */
        append(log, text, (uint64_t)i + 1, false);
    }
    room_log_merge(log, &(struct room_log_cursor){0}, 3, &buffer, &len);
    assert_int_equal(len, 2 * (4 + 399) + 2 + 20);
    assert_int_equal(count, 0);
    text_clear(&buffer);
    const uint8_t *merged =
        room_log_merge(log, &(struct room_log_cursor){.deflated = 1}, 3, &buffer, &len);
    assert_int_equal(count, 2);
    assert_true(len < 100);
    for (size_t step = 1; step <= len; step++)
        check_both_forms(log, step, merged, len);
    assert_int_equal(count, 2);
    text_done(&buffer);
    room_log_free(log);
    deflater_free(deflater);
}

static void test_find_bytes_takes_at_least_one_frame(void **state)
{
    struct room_log *log = room_log_new(100);
    (void)state;
    assert_int_equal(room_log_find_bytes(log, 0, 100), 0); /* there is none */
    append(log, "one", 1, false);
    append(log, "two", 2, false);
    append(log, "three", 3, false);
    assert_int_equal(room_log_find_bytes(log, 0, 1), 1);
    assert_int_equal(room_log_find_bytes(log, 0, 9), 1);
    assert_int_equal(room_log_find_bytes(log, 0, 10), 2);
    assert_int_equal(room_log_find_bytes(log, 1, 12), 3);
    assert_int_equal(room_log_find_bytes(log, 0, 1000), 3);
    assert_int_equal(room_log_find_bytes(log, 3, 1000), 3);
    room_log_free(log);
}

static void test_find(void **state)
{
    struct room_log *log = room_log_new(100);
    (void)state;
    assert_int_equal(room_log_find(log, 0, 5), 0);
    append(log, "5", 5, false);
    append(log, "8", 8, false); /* carries 6, 7 and 8 */
    append(log, "n", 8, true);
    append(log, "9", 9, false);
    assert_int_equal(room_log_find(log, 0, 4), 0);
    assert_int_equal(room_log_find(log, 0, 5), 1);
    assert_int_equal(room_log_find(log, 0, 6), 1);
    assert_int_equal(room_log_find(log, 0, 8), 3);
    assert_int_equal(room_log_find(log, 0, 9), 4);
    assert_int_equal(room_log_find(log, 2, 0), 2);
    room_log_free(log);
}

static void test_ring_grows_shrinks_and_counts_bytes(void **state)
{
    struct room_log *log = room_log_new(50);
    (void)state;
    for (uint64_t i = 1; i <= 5000; i++) {
        append(log, "four", i, false);
        while (room_log_tail(log) < room_log_excess(log))
            room_log_evict(log);
        assert_true(room_log_head(log) - room_log_tail(log) <= 50);
    }
    assert_int_equal(room_log_bytes_from(log, room_log_tail(log)), 50 * 6);
    assert_int_equal(room_log_bytes_from(log, room_log_head(log) - 3), 18);
    assert_int_equal(room_log_bytes_from(log, room_log_head(log)), 0);
    assert_int_equal(room_log_mark(log, room_log_tail(log)).seq, 4951);
    while (room_log_tail(log) < room_log_head(log))
        room_log_evict(log);
    assert_int_equal(room_log_bytes_from(log, room_log_tail(log)), 0);
    append(log, "again", 5001, false);
    assert_int_equal(room_log_find(log, 0, 5000), room_log_head(log) - 1);
    room_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursors_are_independent),
        cmocka_unit_test(test_gather_takes_at_most_so_many),
        cmocka_unit_test(test_advance_at_every_cut),
        cmocka_unit_test(test_remainder_is_the_rest_of_a_begun_frame),
        cmocka_unit_test(test_transient_frames_are_not_replayed),
        cmocka_unit_test(test_merge_puts_frames_in_a_row),
        cmocka_unit_test(test_a_cursor_may_take_the_frames_compressed),
        cmocka_unit_test(test_find_bytes_takes_at_least_one_frame),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_ring_grows_shrinks_and_counts_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
