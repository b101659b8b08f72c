/* Pings between the fragments of a message, and towards a peer that does not read: each answer has
 * its place (RFC 6455 sections 5.4 and 5.5). */
#include "unit.h"

#include "connections_world.h"

#include "websocket/output.h"

#include <sys/socket.h>
#include <unistd.h>

#define BYTES(literal) literal, sizeof(literal) - 1
#define MASK           "\0\0\0\0"

static const struct exchange {
    const char *sent;
    size_t sent_len;
    const char *got;
    size_t got_len;
    struct { /* what has come must have been answered so, wherever the bytes are cut */
        size_t after, got_len;
    } steps[8];
} exchanges[] = {
    /* a text in two fragments with a ping between them */
    {BYTES("\x01\x83" MASK "Hel"
           "\x89\x84" MASK "ping"
           "\x80\x82" MASK "lo"),
     BYTES("\x8a\x04ping"
           "\x81\x05Hello"),
     {{19, 6}, {27, 13}}},
    /* five fragments with two pings */
    {BYTES("\x01\x81" MASK "1"
           "\x00\x81" MASK "2"
           "\x89\x82" MASK "p1"
           "\x00\x81" MASK "3"
           "\x00\x81" MASK "4"
           "\x89\x82" MASK "p2"
           "\x80\x81" MASK "5"),
     BYTES("\x8a\x02p1"
           "\x8a\x02p2"
           "\x81\x05"
           "12345"),
     {{22, 4}, {44, 8}, {51, 15}}},
    /* an empty ping, a pong that nobody asked for, and a ping before the last fragment */
    {BYTES("\x89\x80" MASK "\x01\x80" MASK "\x8a\x81" MASK "x"
           "\x89\x81" MASK "a"
           "\x80\x81" MASK "m"),
     BYTES("\x8a\x00"
           "\x8a\x01"
           "a"
           "\x81\x01m"),
     {{6, 2}, {26, 5}, {33, 8}}},
    /* a close frame between fragments ends it, after the answer to the ping */
    {BYTES("\x01\x81" MASK "1"
           "\x89\x81" MASK "a"
           "\x88\x82" MASK "\x03\xe8"),
     BYTES("\x8a\x01"
           "a"
           "\x88\x02\x03\xe8"),
     {{14, 3}, {22, 7}}},
};

static void echo_back(void *owner, bool text, const uint8_t *data, size_t len)
{
    (void)owner;
    connection_send(stage.connection, text ? FRAME_TEXT : FRAME_BINARY, data, len);
}

static void on_closed(void *owner, const struct connection_end *end)
{
    (void)owner;
    (void)end;
    stage.connection = NULL;
}

static const struct connection_callbacks echoing = {echo_back, NULL, on_closed, NULL};

static void open_echo(void)
{
    int sides[2];
    if (stage.connection != NULL)
        connection_abort(stage.connection);
    iterate();
    close(stage.peer);
    assert_int_equal(make_pair(sides), 0);
    stage.peer = sides[1];
    stage.connection = connection_new(stage.connections, sides[0], &echoing, NULL);
}

static void peer_writes(const char *bytes, size_t len)
{
    if (len > 0)
        assert_int_equal(write(stage.peer, bytes, len), len);
    iterate();
}

/* How much must have come back when so many bytes were sent. */
static size_t count_due(const struct exchange *exchange, size_t sent)
{
    size_t due = 0;
    for (size_t i = 0; i < 8 && exchange->steps[i].after > 0; i++)
        if (exchange->steps[i].after <= sent)
            due = exchange->steps[i].got_len;
    return due;
}

static void exchange_cut(const struct exchange *exchange, size_t first, size_t second)
{
    uint8_t got[256];
    size_t cuts[] = {0, first, second, exchange->sent_len}, len = 0;
    open_echo();
    for (int i = 0; i < 3; i++) {
        peer_writes(exchange->sent + cuts[i], cuts[i + 1] - cuts[i]);
        len += peer_reads(got + len, sizeof got - len);
        assert_true(len >= count_due(exchange, cuts[i + 1]));
    }
    assert_int_equal(len, exchange->got_len);
    assert_memory_equal(got, exchange->got, len);
}

static void test_each_pong_is_before_what_follows_its_ping_wherever_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++)
        for (size_t first = 0; first <= exchanges[i].sent_len; first++)
            for (size_t second = first; second <= exchanges[i].sent_len; second++)
                exchange_cut(&exchanges[i], first, second);
}

static void test_the_same_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
        uint8_t got[256];
        size_t len = 0;
        open_echo();
        for (size_t at = 0; at < exchanges[i].sent_len; at++) {
            peer_writes(exchanges[i].sent + at, 1);
            len += peer_reads(got + len, sizeof got - len);
            assert_true(len >= count_due(&exchanges[i], at + 1));
        }
        assert_int_equal(len, exchanges[i].got_len);
        assert_memory_equal(got, exchanges[i].got, len);
    }
}

/* --- Towards a peer that does not read --- */

/* Fills its socket, and lets some frames wait. */
static void fill_socket(void)
{
    static const char payload[4000];
    while (!connection_is_blocked(stage.connection)) {
        connection_send(stage.connection, FRAME_BINARY, payload, sizeof payload);
        iterate();
    }
    for (int i = 0; i < 8; i++)
        connection_send(stage.connection, FRAME_BINARY, payload, 3000);
    iterate();
    assert_true(connection_is_blocked(stage.connection));
}

static size_t frame_at(const uint8_t *bytes, size_t len, size_t at)
{
    return frame_whole_len(bytes + at, len - at);
}

static void test_a_slow_reader_gets_the_pong_before_the_data_that_wait(void **state)
{
    static uint8_t got[1 << 24];
    size_t at = 0, data_after = 0;
    (void)state;
    fill_socket();
    peer_sends(0x89, "now", 3);
    size_t len = peer_reads(got, sizeof got);
    while (at < len && got[at] != 0x8a)
        at += frame_at(got, len, at);
    assert_true(at < len);
    assert_memory_equal(got + at, "\x8a\x03now", 5);
    for (at += 5; at < len; at += frame_at(got, len, at))
        data_after++;
    assert_int_equal(at, len);
    assert_true(data_after >= 8);
}

static void test_a_close_frame_is_behind_the_data_that_wait(void **state)
{
    static uint8_t got[1 << 24];
    size_t at = 0, last = 0;
    (void)state;
    fill_socket();
    peer_sends(0x89, "now", 3);
    connection_close(stage.connection, 4400, "told");
    size_t len = peer_reads(got, sizeof got);
    for (; at < len; at += frame_at(got, len, at))
        last = at;
    assert_int_equal(at, len);
    assert_memory_equal(got + last, "\x88\x06\x11\x30told", 8);
}

/* One read brings thousands of messages, each answered with more bytes than it has. */
static void test_what_waits_is_looked_at_before_each_message(void **state)
{
    enum { PINGS = 4000, PING = 6 + 20, PONG = 2 + 20, HIGH = 65536 + MAX_MESSAGE };
    static uint8_t flood[PINGS * PING], got[1 << 24];
    (void)state;
    for (size_t i = 0; i < PINGS; i++) {
        flood[i * PING] = 0x89;
        flood[i * PING + 1] = 0x80 | 20;
    }
    fill_socket();
    connection_feed(stage.connection, flood, sizeof flood);
    size_t waits = connection_private_len(stage.connection);
    assert_true(waits > HIGH && waits <= HIGH + PONG);
    iterate();
    peer_says("later"); /* is not read before what was read is answered */
    assert_null(strstr(stage.seen, "T(later)"));
    size_t len = peer_reads(got, sizeof got), pongs = 0;
    for (size_t at = 0; at < len; at += frame_at(got, len, at))
        pongs += got[at] == 0x8a;
    assert_int_equal(pongs, PINGS);
    assert_int_equal(connection_private_len(stage.connection), 0);
    stage.seen[0] = '\0';
    peer_says("last");
    assert_string_equal(stage.seen, "T(last)");
}

static void test_what_is_held_up_ends_with_its_connection(void **state)
{
    static uint8_t flood[6 * 20000];
    (void)state;
    for (size_t i = 0; i < sizeof flood; i += 6) {
        flood[i] = 0x89;
        flood[i + 1] = 0x80;
    }
    fill_socket();
    for (int i = 0; i < 4; i++)
        connection_feed(stage.connection, flood, sizeof flood);
    connection_close(stage.connection, 4400, "told");
    static uint8_t got[1 << 24];
    assert_true(peer_reads(got, sizeof got) > 0);
    assert_true(peer_sees_the_end());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_pong_is_before_what_follows_its_ping_wherever_the_bytes_are_cut),
        TEST(the_same_byte_by_byte),
        TEST(a_slow_reader_gets_the_pong_before_the_data_that_wait),
        TEST(a_close_frame_is_behind_the_data_that_wait),
        TEST(what_waits_is_looked_at_before_each_message),
        TEST(what_is_held_up_ends_with_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
