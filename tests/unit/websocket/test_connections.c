/* What comes in through a connection, and what goes out. (How it ends: test_connections_end.c.) */
#include "unit.h"

#include "connections_world.h"

#include "websocket/output.h"

#include <sys/socket.h>
#include <unistd.h>

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

static void test_paused_connection_is_not_read_from(void **state)
{
    (void)state;
    connection_pause_reading(stage.connection, true);
    peer_says("later");
    assert_string_equal(stage.seen, "");
    connection_pause_reading(stage.connection, false);
    iterate();
    assert_string_equal(stage.seen, "T(later)");
}

static void test_who_takes_nothing_is_not_read_from(void **state)
{
    (void)state;
    static const char payload[4000];
    for (int i = 0; i < 2000 && !connection_is_blocked(stage.connection); i++) {
        connection_send(stage.connection, FRAME_BINARY, payload, sizeof payload);
        iterate();
    }
    assert_true(connection_is_blocked(stage.connection));
    peer_says("one");
    assert_string_equal(stage.seen, "T(one)");
    for (int i = 0; i < 20; i++)
        connection_send(stage.connection, FRAME_BINARY, payload, sizeof payload);
    iterate();
    peer_says("two");
    assert_string_equal(stage.seen, "T(one)");
    static uint8_t bytes[1 << 24];
    assert_true(peer_reads(bytes, sizeof bytes) > 20 * sizeof payload);
    iterate();
    assert_string_equal(stage.seen, "T(one)T(two)");
}

/* --- What goes out --- */

/* A ping is before the data that wait. */
static void test_frames_keep_their_order_whatever_their_size(void **state)
{
    (void)state;
    static char large[5000];
    static uint8_t bytes[6000];
    connection_send_first(stage.connection, (const uint8_t *)"HTTP", 4);
    connection_send(stage.connection, FRAME_TEXT, "a", 1);
    connection_send(stage.connection, FRAME_BINARY, large, sizeof large);
    connection_send(stage.connection, FRAME_PING, NULL, 0);
    connection_send(stage.connection, FRAME_TEXT, "b", 1);
    iterate();
    size_t len = peer_reads(bytes, sizeof bytes);
    assert_int_equal(len, 4 + 3 + 4 + sizeof large + 2 + 3);
    assert_memory_equal(bytes,
                        "HTTP\x89\x00\x81\x01"
                        "a\x82\x7e\x13\x88",
                        13);
    assert_memory_equal(bytes + len - 3,
                        "\x81\x01"
                        "b",
                        3);
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

/* It is whole, and a ping comes after it. */
static void test_large_frame_that_the_socket_takes_a_part_of_goes_on_there(void **state)
{
    enum { PAYLOAD = 1000000, HEADER = 10 };
    static uint8_t payload[PAYLOAD], bytes[HEADER + PAYLOAD + 100];
    static const uint8_t header[HEADER] = {0x82, 127, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40};
    (void)state;
    for (size_t i = 0; i < PAYLOAD; i++)
        payload[i] = (uint8_t)(i * i >> 8);
    connection_send(stage.connection, FRAME_BINARY, payload, PAYLOAD);
    assert_in_range(connection_private_len(stage.connection), 1, PAYLOAD - 1);
    assert_true(connection_is_blocked(stage.connection));
    connection_send(stage.connection, FRAME_TEXT, "b", 1);
    connection_send(stage.connection, FRAME_PING, NULL, 0);
    size_t len = peer_reads(bytes, sizeof bytes);
    assert_int_equal(len, HEADER + PAYLOAD + 5);
    assert_memory_equal(bytes, header, HEADER);
    assert_memory_equal(bytes + HEADER, payload, PAYLOAD);
    assert_memory_equal(bytes + HEADER + PAYLOAD,
                        "\x89\x00\x81\x01"
                        "b",
                        5);
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
        iterate();
        if (i % 7 == 0) {
            ssize_t got = read(stage.peer, bytes + len, 5000);
            len += got > 0 ? (size_t)got : 0;
            iterate();
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
    iterate();
    assert_int_equal(record.pumps, 1);
    ASSERT_PEER_GETS("rest\x81\x01"
                     "pnextlast");
}

static void test_rest_of_a_shared_frame_goes_before_what_waits(void **state)
{
    (void)state;
    connection_send(stage.connection, FRAME_TEXT, "p", 1);
    connection_send_first(stage.connection, (const uint8_t *)"rest", 4);
    iterate();
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
    iterate();
    assert_false(connection_is_blocked(stage.connection));
    assert_int_equal(record.pumps, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(message_reaches_the_owner),
        TEST(bytes_that_came_with_the_handshake_are_a_message),
        TEST(ping_is_answered_when_the_owner_wants),
        TEST(paused_connection_is_not_read_from),
        TEST(who_takes_nothing_is_not_read_from),
        TEST(frames_keep_their_order_whatever_their_size),
        TEST(large_frame_goes_out_at_once),
        TEST(large_frame_that_the_socket_takes_a_part_of_goes_on_there),
        TEST(frames_keep_their_order_when_the_socket_is_full),
        TEST(private_bytes_go_between_the_shared_ones),
        TEST(rest_of_a_shared_frame_goes_before_what_waits),
        TEST(blocked_connection_is_pumped_when_its_socket_takes_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
