/* Members of one room of whom some get compressed frames. */
#include "unit.h"

#include "fanout_world.h"

#include "protocol/deflate.h"
#include "websocket/output.h"

#include <sys/socket.h>
#include <unistd.h>

static char lines[8][1000];

/* Lines that pay to be compressed, each of other letters. */
static void write_lines(void)
{
    for (int i = 0; i < 8; i++) {
        memset(lines[i], 'a' + i, 500);
        lines[i][500] = '\0';
    }
}

/* The text of the frames in a row, which may be compressed; what is cut off is left out. */
static size_t read_frames(const uint8_t *bytes, size_t len, struct text *out)
{
    uint64_t count = 0;
    size_t deflated = 0;
    struct inflater *inflater = inflater_new(16384, &count);
    for (size_t at = 0; at < len;) {
        size_t head = bytes[at + 1] == 126 ? 4 : 2;
        size_t payload_len =
            head == 4 ? (size_t)(bytes[at + 2] << 8 | bytes[at + 3]) : bytes[at + 1];
        const uint8_t *payload = bytes + at + head;
        at += head + payload_len;
        if (payload[-(ptrdiff_t)head] == 0xc1) {
            assert_int_equal(inflater_run(inflater, payload, payload_len, &payload, &payload_len),
                             0);
            deflated++;
        }
        text_add(out, (const char *)payload, payload_len);
    }
    inflater_free(inflater);
    return deflated;
}

/* How many compressed frames it has got, whose text is that. */
static size_t assert_received(int index, const char *expected)
{
    static uint8_t bytes[1 << 17];
    struct text text = TEXT_EMPTY;
    size_t len = 0;
    for (ssize_t got; (got = read(stage.peers[index], bytes + len, sizeof bytes - len)) > 0;)
        len += (size_t)got;
    size_t deflated = read_frames(bytes, len, &text);
    text_add(&text, "", 1);
    assert_string_equal(text.data, expected);
    text_done(&text);
    return deflated;
}

static void check_half_of_a_room(bool uring, int type)
{
    char expected[4001];
    set_up(uring);
    stage.type = type;
    for (int i = 0; i < MOST; i++)
        i % 2 == 0 ? come_deflated(0) : come(0);
    iterate();
    snprintf(expected, sizeof expected, "%s%s%sshort", lines[0], lines[1], lines[2]);
    say(lines[0]);
    iterate();
    say(lines[1]);
    say(lines[2]);
    say("short");
    iterate();
    for (int i = 0; i < MOST; i++)
        assert_int_equal(assert_received(i, expected), i % 2 == 0 ? 3 : 0);
    assert_int_equal(stage.metrics.deflated_frames, 3);
    assert_int_equal(stage.metrics.messages_out, 4 * MOST);
    assert_true(stage.metrics.bytes_out < MOST * 1800 / 2);
    tear_down();
}

static void test_half_of_a_room_gets_each_frame_compressed_once(void **state)
{
    (void)state;
    write_lines();
    check_half_of_a_room(false, SOCK_STREAM);
    check_half_of_a_room(true, SOCK_STREAM);
    check_half_of_a_room(true, SOCK_SEQPACKET);
}

static void test_without_a_member_who_wants_it_nothing_is_compressed(void **state)
{
    (void)state;
    write_lines();
    set_up(true);
    come(0);
    come(0);
    iterate();
    say(lines[0]);
    iterate();
    assert_int_equal(assert_received(0, lines[0]), 0);
    assert_int_equal(stage.metrics.deflated_frames, 0);
    tear_down();
}

static void test_who_comes_in_behind_gets_the_same_compressed_frames(void **state)
{
    char expected[2001];
    (void)state;
    write_lines();
    set_up(true);
    come_deflated(0);
    iterate();
    say(lines[0]);
    say(lines[1]);
    iterate();
    int late = come_deflated(0);
    int plain = come(0);
    iterate();
    snprintf(expected, sizeof expected, "%s%s", lines[0], lines[1]);
    assert_int_equal(assert_received(late, expected), 2);
    assert_int_equal(assert_received(plain, expected), 0);
    assert_int_equal(stage.metrics.deflated_frames, 2);
    tear_down();
}

static void test_what_is_for_one_member_comes_compressed_between_shared_frames(void **state)
{
    char expected[4001];
    (void)state;
    write_lines();
    set_up(true);
    int other = come_deflated(0);
    int one = come_deflated(0);
    iterate();
    say(lines[0]);
    iterate();
    connection_send(stage.members[one], FRAME_TEXT, lines[1], 500);
    connection_send(stage.members[one], FRAME_TEXT, "short", 5);
    say(lines[2]);
    iterate();
    snprintf(expected, sizeof expected, "%s%s", lines[0], lines[2]);
    assert_int_equal(assert_received(other, expected), 2);
    snprintf(expected, sizeof expected, "%s%sshort%s", lines[0], lines[1], lines[2]);
    assert_int_equal(assert_received(one, expected), 3);
    assert_int_equal(stage.metrics.deflated_frames, 3);
    tear_down();
}

static void test_a_secret_is_never_compressed(void **state)
{
    (void)state;
    write_lines();
    set_up(true);
    int one = come_deflated(0);
    iterate();
    connection_send_secret(stage.members[one], lines[0], 500);
    iterate();
    assert_int_equal(assert_received(one, lines[0]), 0);
    tear_down();
}

/* Text that hardly gets shorter, so that a socket is full soon. */
static void write_noise(char *out, size_t len, uint32_t *random)
{
    for (size_t i = 0; i < len; i++) {
        *random = *random * 1664525 + 1013904223;
        out[i] = (char)('A' + (*random >> 24) % 32);
    }
    out[len] = '\0';
}

/* A socket may cut a compressed frame anywhere; an answer may come meanwhile. */
static void test_a_full_socket_gets_the_rest_of_a_compressed_frame_later(void **state)
{
    static uint8_t bytes[1 << 21];
    static char noise[9001];
    int size = 4096;
    uint32_t random = 1;
    struct text expected = TEXT_EMPTY, got = TEXT_EMPTY;
    size_t len = 0;
    (void)state;
    set_up(true);
    int slow = come_deflated(0);
    come(0);
    assert_int_equal(
        setsockopt(connection_fd(stage.members[slow]), SOL_SOCKET, SO_SNDBUF, &size, sizeof size),
        0);
    for (int i = 0; i < 60; i++) {
        write_noise(noise, 9000, &random);
        text_add(&expected, noise, 9000);
        say(noise);
        iterate();
        for (ssize_t more = 1; i % 3 == 0 && more > 0; len += more > 0 ? (size_t)more : 0)
            more = read(stage.peers[slow], bytes + len, 1777);
        drain(1);
    }
    for (int quiet = 0; quiet < 3; quiet++) {
        ssize_t more = read(stage.peers[slow], bytes + len, sizeof bytes - len);
        len += more > 0 ? (size_t)more : 0;
        quiet = more > 0 ? 0 : quiet;
        iterate();
    }
    assert_int_equal(read_frames(bytes, len, &got), 60);
    assert_int_equal(got.len, expected.len);
    assert_memory_equal(got.data, expected.data, got.len);
    text_done(&got);
    text_done(&expected);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_of_a_room_gets_each_frame_compressed_once),
        cmocka_unit_test(test_without_a_member_who_wants_it_nothing_is_compressed),
        cmocka_unit_test(test_who_comes_in_behind_gets_the_same_compressed_frames),
        cmocka_unit_test(test_what_is_for_one_member_comes_compressed_between_shared_frames),
        cmocka_unit_test(test_a_secret_is_never_compressed),
        cmocka_unit_test(test_a_full_socket_gets_the_rest_of_a_compressed_frame_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
