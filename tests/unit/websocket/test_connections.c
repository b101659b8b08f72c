/* Connections on pairs of sockets, with a real event loop; the program's clock is the test's. */
#include "unit.h"

#include "base/clock.h"
#include "websocket/connections.h"
#include "websocket/echo.h"
#include "websocket/output.h"
#include "websocket/poller.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PING_S = 1, SILENCE_S = PING_S + 10, MAX_MESSAGE = 1000 };

static int64_t now_ms = 1000000;

int64_t clock_monotonic_ms(void)
{
    return now_ms;
}

int64_t clock_monotonic_us(void)
{
    return now_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return now_ms;
}

int64_t clock_process_cpu_us(void)
{
    return now_ms;
}

static struct stage {
    struct event_base *base;
    struct poller *poller;
    struct metrics metrics;
    struct connections *connections;
    struct connection *connection;
    int peer;
    char seen[2048]; /* what the owner was told: T(text) B(binary) P(ping) Q(pong) E(cause code) */
    bool answers_pings, closes_when_told;
} stage;

static void note(char what, const uint8_t *data, size_t len)
{
    size_t at = strlen(stage.seen);
    snprintf(stage.seen + at, sizeof stage.seen - at, "%c(%.*s)", what, (int)len,
             (const char *)data);
}

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    assert_ptr_equal(owner, &stage);
    note(text ? 'T' : 'B', data, len);
    if (stage.closes_when_told)
        connection_close(stage.connection, 4400, "told");
}

static bool on_control(void *owner, bool ping, const uint8_t *data, size_t len)
{
    assert_ptr_equal(owner, &stage);
    note(ping ? 'P' : 'Q', data, len);
    return stage.answers_pings;
}

static void on_closed(void *owner, const struct connection_end *end)
{
    char text[32];
    assert_ptr_equal(owner, &stage);
    int len = snprintf(text, sizeof text, "%d %u", end->cause, end->code);
    note('E', (const uint8_t *)text, (size_t)len);
    stage.connection = NULL;
}

static const struct connection_callbacks callbacks = {on_message, on_control, on_closed};

static int make_pair(int sides[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sides);
}

static int set_up(void **state)
{
    (void)state;
    stage = (struct stage){.base = event_base_new(), .answers_pings = true};
    stage.poller = poller_new(stage.base, &stage.metrics, NULL, NULL);
    const struct connections_options options = {
        .base = stage.base,
        .poller = stage.poller,
        .metrics = &stage.metrics,
        .ping_s = PING_S,
        .max_message = MAX_MESSAGE,
    };
    int sides[2];
    stage.connections = connections_new(&options);
    if (make_pair(sides) != 0)
        return -1;
    stage.peer = sides[1];
    stage.connection = connection_new(stage.connections, sides[0], &callbacks, &stage);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    connections_free(stage.connections);
    poller_free(stage.poller);
    event_base_free(stage.base);
    close(stage.peer);
    return 0;
}

/* --- The loop, and time --- */

/* Until nothing is due; without waiting. */
static void turn(void)
{
    for (int i = 0; i < 4; i++)
        event_base_loop(stage.base, EVLOOP_NONBLOCK);
}

static int find_timer(const struct event_base *base, const struct event *event, void *found)
{
    (void)base;
    if (event_get_fd(event) < 0)
        *(const struct event **)found = event;
    return 0;
}

/* Time passes second by second, and in each the wheel turns, without waiting for its timer. */
static void pass(unsigned seconds)
{
    for (turn(); seconds > 0 && stage.connection != NULL; seconds--) {
        struct event *wheel = NULL;
        event_base_foreach_event(stage.base, find_timer, &wheel);
        assert_non_null(wheel);
        now_ms += 1000;
        event_active(wheel, EV_TIMEOUT, 0);
        turn();
    }
}

/* --- The peer --- */

/* A frame with a mask of zeroes. */
static void peer_sends(uint8_t first_byte, const char *payload, size_t len)
{
    uint8_t frame[6 + 125] = {first_byte, (uint8_t)(0x80 | len)};
    memcpy(frame + 6, payload, len);
    assert_int_equal(write(stage.peer, frame, 6 + len), 6 + len);
    turn();
}

static void peer_says(const char *text)
{
    peer_sends(0x81, text, strlen(text));
}

/* All that the peer can read now, up to the size of the buffer. */
static size_t peer_reads(uint8_t *out, size_t size)
{
    size_t len = 0;
    for (ssize_t got = 1; got > 0 && len < size; turn()) {
        got = read(stage.peer, out + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    }
    return len;
}

static void assert_peer_gets(const char *expected, size_t expected_len)
{
    uint8_t bytes[4096];
    size_t len = peer_reads(bytes, sizeof bytes);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
}

#define ASSERT_PEER_GETS(literal) assert_peer_gets(literal, sizeof(literal) - 1)

static bool peer_sees_the_end(void)
{
    uint8_t byte;
    return read(stage.peer, &byte, 1) == 0;
}

/* --- What comes in --- */

static void test_message_reaches_the_owner(void **state)
{
    (void)state;
    peer_says("one");
    peer_sends(0x82, "two", 3);
    assert_string_equal(stage.seen, "T(one)B(two)");
}

static void test_bytes_that_came_with_the_handshake_are_a_message(void **state)
{
    (void)state;
    static const uint8_t frame[] = {0x81, 0x82, 0, 0, 0, 0, 'h', 'i'};
    connection_feed(stage.connection, frame, 3);
    connection_feed(stage.connection, frame + 3, sizeof frame - 3);
    assert_string_equal(stage.seen, "T(hi)");
}

static void test_ping_is_answered_when_the_owner_wants(void **state)
{
    (void)state;
    peer_sends(0x89, "a", 1);
    ASSERT_PEER_GETS("\x8a\x01"
                     "a");
    stage.answers_pings = false;
    peer_sends(0x89, "b", 1);
    ASSERT_PEER_GETS("");
    assert_string_equal(stage.seen, "P(a)P(b)");
}

static void test_held_connection_is_not_read_from(void **state)
{
    (void)state;
    connection_hold(stage.connection, true);
    peer_says("later");
    assert_string_equal(stage.seen, "");
    connection_hold(stage.connection, false);
    turn();
    assert_string_equal(stage.seen, "T(later)");
}

static void test_who_takes_nothing_is_not_read_from(void **state)
{
    (void)state;
    static const char payload[4000];
    for (int i = 0; i < 2000 && !connection_is_blocked(stage.connection); i++) {
        connection_send(stage.connection, FRAME_BINARY, payload, sizeof payload);
        turn();
    }
    assert_true(connection_is_blocked(stage.connection));
    peer_says("one");
    assert_string_equal(stage.seen, "T(one)");
    for (int i = 0; i < 20; i++)
        connection_send(stage.connection, FRAME_BINARY, payload, sizeof payload);
    turn();
    peer_says("two");
    assert_string_equal(stage.seen, "T(one)");
    static uint8_t bytes[1 << 24];
    assert_true(peer_reads(bytes, sizeof bytes) > 20 * sizeof payload);
    turn();
    assert_string_equal(stage.seen, "T(one)T(two)");
}

/* --- What goes out --- */

static void test_frames_keep_their_order_whatever_their_size(void **state)
{
    (void)state;
    static char large[5000];
    static uint8_t bytes[6000];
    connection_send_raw(stage.connection, "HTTP", 4);
    connection_send(stage.connection, FRAME_TEXT, "a", 1);
    connection_send(stage.connection, FRAME_BINARY, large, sizeof large);
    connection_send(stage.connection, FRAME_PING, NULL, 0);
    connection_send(stage.connection, FRAME_TEXT, "b", 1);
    turn();
    size_t len = peer_reads(bytes, sizeof bytes);
    assert_int_equal(len, 4 + 3 + 4 + sizeof large + 2 + 3);
    assert_memory_equal(bytes,
                        "HTTP\x81\x01"
                        "a\x82\x7e\x13\x88",
                        11);
    assert_memory_equal(bytes + len - 5,
                        "\x89\x00\x81\x01"
                        "b",
                        5);
}

/* Kept until the end of the iteration, it would be copied. */
static void test_large_frame_goes_out_at_once(void **state)
{
    (void)state;
    static char large[5000];
    static uint8_t bytes[sizeof large + 4];
    connection_send(stage.connection, FRAME_BINARY, large, sizeof large);
    assert_int_equal(connection_private_len(stage.connection), 0);
    assert_int_equal(read(stage.peer, bytes, sizeof bytes), sizeof bytes);
}

/* Whatever the socket takes at a time, a frame is whole and in its place. */
static void test_frames_keep_their_order_when_the_socket_is_full(void **state)
{
    (void)state;
    enum { FRAMES = 3000, LONGEST = 9000 };
    static uint8_t bytes[FRAMES * (LONGEST + 4)];
    static char payload[LONGEST];
    size_t len = 0, sent = 0;
    for (uint8_t i = 0; i < 250; i++) {
        size_t size = i % 3 == 0 ? LONGEST : 1 + i;
        memset(payload, i, size);
        connection_send(stage.connection, FRAME_BINARY, payload, size);
        sent += size;
        turn();
        if (i % 7 == 0) {
            ssize_t got = read(stage.peer, bytes + len, 5000);
            len += got > 0 ? (size_t)got : 0;
            turn();
        }
    }
    len += peer_reads(bytes + len, sizeof bytes - len);
    size_t at = 0;
    for (uint8_t i = 0; i < 250; i++) {
        bool is_long = bytes[at + 1] == 126;
        size_t size = is_long ? (size_t)(bytes[at + 2] << 8 | bytes[at + 3]) : bytes[at + 1];
        at += is_long ? 4 : 2;
        assert_int_equal(size, i % 3 == 0 ? LONGEST : 1 + i);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(bytes[at + j], i);
        at += size;
    }
    assert_int_equal(at, len);
    assert_true(sent < len);
}

static struct source_record {
    int pending, pumps;
} record;

static void on_pending_output(void *arg, struct connection *connection)
{
    (void)connection;
    ((struct source_record *)arg)->pending++;
}

static void pump(void *arg, struct connection *connection)
{
    const struct iovec before = {(void *)"rest", 4};
    const struct iovec after[] = {{(void *)"next", 4}, {(void *)"last", 4}};
    ((struct source_record *)arg)->pumps++;
    assert_int_equal(connection_private_len(connection), 3);
    assert_int_equal(connection_write(connection, &before, after, 2), 12);
    assert_int_equal(connection_private_len(connection), 0);
}

static const struct connection_source source = {on_pending_output, pump};

static void test_private_bytes_go_between_the_shared_ones(void **state)
{
    (void)state;
    record = (struct source_record){0};
    connection_set_source(stage.connection, &source, &record);
    connection_send(stage.connection, FRAME_TEXT, "p", 1);
    assert_true(record.pending > 0);
    assert_int_equal(record.pumps, 0);
    turn();
    assert_int_equal(record.pumps, 1);
    ASSERT_PEER_GETS("rest\x81\x01"
                     "pnextlast");
}

static void test_rest_of_a_shared_frame_goes_before_what_waits(void **state)
{
    (void)state;
    connection_send(stage.connection, FRAME_TEXT, "p", 1);
    connection_send_first(stage.connection, (const uint8_t *)"rest", 4);
    turn();
    ASSERT_PEER_GETS("rest\x81\x01p");
}

static void wait_for_writability(void *arg, struct connection *connection)
{
    (void)connection;
    ((struct source_record *)arg)->pumps++;
}

static void test_blocked_connection_is_pumped_when_its_socket_takes_more(void **state)
{
    (void)state;
    static const struct connection_source waiting = {on_pending_output, wait_for_writability};
    record = (struct source_record){0};
    connection_set_source(stage.connection, &waiting, &record);
    connection_block(stage.connection);
    assert_true(connection_is_blocked(stage.connection));
    assert_int_equal(record.pending, 1);
    turn();
    assert_false(connection_is_blocked(stage.connection));
    assert_int_equal(record.pumps, 1);
}

/* --- How it ends --- */

static void test_close_comes_after_what_is_queued_and_nothing_after_it(void **state)
{
    (void)state;
    connection_send(stage.connection, FRAME_TEXT, "a", 1);
    connection_close(stage.connection, 4400, "x");
    connection_close(stage.connection, 1013, "y");
    connection_send(stage.connection, FRAME_TEXT, "b", 1);
    assert_true(connection_is_closing(stage.connection));
    turn();
    ASSERT_PEER_GETS("\x81\x01"
                     "a\x88\x03\x11\x30x");
    assert_true(peer_sees_the_end());
    peer_says("not listened to");
    assert_string_equal(stage.seen, "");
    shutdown(stage.peer, SHUT_WR);
    turn();
    assert_string_equal(stage.seen, "E(2 4400)");
    assert_int_equal(connections_count(stage.connections), 0);
}

static void test_peers_close_is_answered_with_its_code(void **state)
{
    (void)state;
    peer_sends(0x88, "\x03\xe9", 2);
    ASSERT_PEER_GETS("\x88\x02\x03\xe9");
    shutdown(stage.peer, SHUT_WR);
    turn();
    assert_string_equal(stage.seen, "E(1 1001)");
}

static void test_close_from_on_message_ends_the_reading(void **state)
{
    (void)state;
    static const uint8_t two[] = {0x81, 0x81, 0, 0, 0, 0, 'a', 0x81, 0x81, 0, 0, 0, 0, 'b'};
    stage.closes_when_told = true;
    connection_feed(stage.connection, two, sizeof two);
    turn();
    assert_string_equal(stage.seen, "T(a)");
    ASSERT_PEER_GETS("\x88\x06\x11\x30told");
}

static void test_breaking_the_protocol_closes(void **state)
{
    (void)state;
    uint8_t bytes[128];
    peer_sends(0x83, "", 0); /* an opcode that nobody has defined */
    size_t len = peer_reads(bytes, sizeof bytes);
    assert_memory_equal(bytes, "\x88", 1);
    assert_memory_equal(bytes + 2, "\x03\xea", 2);
    assert_int_equal(len, 2 + bytes[1]);
    close(stage.peer);
    turn();
    stage.peer = -1;
    assert_string_equal(stage.seen, "E(2 1002)");
}

static void test_abort_is_told_once_at_the_end_of_the_iteration(void **state)
{
    (void)state;
    connection_abort(stage.connection);
    connection_abort(stage.connection);
    connection_send(stage.connection, FRAME_TEXT, "a", 1);
    assert_string_equal(stage.seen, "");
    turn();
    assert_string_equal(stage.seen, "E(3 1006)");
    ASSERT_PEER_GETS("");
}

static void test_end_of_the_socket_is_told(void **state)
{
    (void)state;
    close(stage.peer);
    stage.peer = -1;
    turn();
    assert_string_equal(stage.seen, "E(3 1006)");
}

static void test_dead_ones_are_dying_until_reaped(void **state)
{
    (void)state;
    assert_false(connections_are_dying(stage.connections));
    connection_abort(stage.connection);
    turn();
    assert_false(connections_are_dying(stage.connections));
    assert_int_equal(stage.metrics.connections, 0);
}

static void test_freeing_all_tells_nobody(void **state)
{
    (void)state;
    int sides[2];
    assert_int_equal(make_pair(sides), 0);
    connection_abort(connection_new(stage.connections, sides[0], &callbacks, &stage));
    connection_send(stage.connection, FRAME_TEXT, "a", 1);
    peer_says("b");
    close(sides[1]); /* what is left is freed in tear_down */
    stage.seen[0] = '\0';
}

/* --- Keepalive --- */

static void test_silent_peer_is_pinged_then_dropped(void **state)
{
    (void)state;
    pass(PING_S + 1);
    ASSERT_PEER_GETS("\x89\x00");
    assert_int_equal(stage.metrics.pings, 1);
    pass(SILENCE_S);
    assert_string_equal(stage.seen, "E(4 1006)");
    assert_int_equal(stage.metrics.pings, 1);
}

static void test_any_byte_shows_that_a_peer_is_there(void **state)
{
    (void)state;
    for (int i = 0; i < SILENCE_S + 2; i++) {
        pass(1);
        peer_sends(0x8a, "", 0);
    }
    assert_non_null(stage.connection);
    assert_true(stage.metrics.pings > SILENCE_S / 2);
    assert_null(strchr(stage.seen, 'E'));
}

static void test_time_in_which_the_process_stood_still_is_no_silence(void **state)
{
    (void)state;
    now_ms += 100000;
    pass(1);
    assert_non_null(stage.connection);
    assert_string_equal(stage.seen, "");
}

static void test_peer_that_does_not_close_is_waited_for_five_seconds(void **state)
{
    (void)state;
    connection_close(stage.connection, 1013, "");
    pass(4);
    assert_non_null(stage.connection);
    pass(2);
    assert_string_equal(stage.seen, "E(2 1013)");
}

static void test_slow_one_has_thirty_seconds_to_take_its_close_frame(void **state)
{
    (void)state;
    connection_close(stage.connection, CONNECTION_TOO_SLOW, "");
    pass(29);
    assert_non_null(stage.connection);
    pass(2);
    assert_string_equal(stage.seen, "E(2 4408)");
}

/* --- Echo --- */

static void test_echo_sends_back_what_came(void **state)
{
    (void)state;
    int sides[2];
    assert_int_equal(make_pair(sides), 0);
    echo_open(stage.connections, sides[0]);
    close(stage.peer);
    stage.peer = sides[1];
    peer_says("hi");
    ASSERT_PEER_GETS("\x81\x02hi");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(message_reaches_the_owner),
        TEST(bytes_that_came_with_the_handshake_are_a_message),
        TEST(ping_is_answered_when_the_owner_wants),
        TEST(held_connection_is_not_read_from),
        TEST(who_takes_nothing_is_not_read_from),
        TEST(frames_keep_their_order_whatever_their_size),
        TEST(large_frame_goes_out_at_once),
        TEST(frames_keep_their_order_when_the_socket_is_full),
        TEST(private_bytes_go_between_the_shared_ones),
        TEST(rest_of_a_shared_frame_goes_before_what_waits),
        TEST(blocked_connection_is_pumped_when_its_socket_takes_more),
        TEST(close_comes_after_what_is_queued_and_nothing_after_it),
        TEST(peers_close_is_answered_with_its_code),
        TEST(close_from_on_message_ends_the_reading),
        TEST(breaking_the_protocol_closes),
        TEST(abort_is_told_once_at_the_end_of_the_iteration),
        TEST(end_of_the_socket_is_told),
        TEST(dead_ones_are_dying_until_reaped),
        TEST(freeing_all_tells_nobody),
        TEST(silent_peer_is_pinged_then_dropped),
        TEST(any_byte_shows_that_a_peer_is_there),
        TEST(time_in_which_the_process_stood_still_is_no_silence),
        TEST(peer_that_does_not_close_is_waited_for_five_seconds),
        TEST(slow_one_has_thirty_seconds_to_take_its_close_frame),
        TEST(echo_sends_back_what_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
