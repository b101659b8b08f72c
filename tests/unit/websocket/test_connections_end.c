/* How connections end: closed, broken, silent; and the echo endpoint. */
#include "unit.h"

#include "connections_world.h"
#include "skipping_clock.h"

#include "websocket/echo.h"
#include "websocket/output.h"

#include <sys/socket.h>
#include <unistd.h>

/* --- How it ends --- */

static void test_close_comes_after_what_is_queued_and_nothing_after_it(void **state)
{
    (void)state;
    connection_send(stage.connection, FRAME_TEXT, "a", 1);
    connection_close(stage.connection, 4400, "x");
    connection_close(stage.connection, 1013, "y");
    connection_send(stage.connection, FRAME_TEXT, "b", 1);
    assert_true(connection_is_closing(stage.connection));
    iterate();
    ASSERT_PEER_GETS("\x81\x01"
                     "a\x88\x03\x11\x30x");
    assert_true(peer_sees_the_end());
    peer_says("not listened to");
    assert_string_equal(stage.seen, "");
    shutdown(stage.peer, SHUT_WR);
    iterate();
    assert_string_equal(stage.seen, "E(2 4400)");
    assert_int_equal(connections_count(stage.connections), 0);
}

static void test_peers_close_is_answered_with_its_code(void **state)
{
    (void)state;
    peer_sends(0x88, "\x03\xe9", 2);
    ASSERT_PEER_GETS("\x88\x02\x03\xe9");
    shutdown(stage.peer, SHUT_WR);
    iterate();
    assert_string_equal(stage.seen, "E(1 1001)");
}

static void test_close_from_on_message_ends_the_reading(void **state)
{
    (void)state;
    static const uint8_t two[] = {0x81, 0x81, 0, 0, 0, 0, 'a', 0x81, 0x81, 0, 0, 0, 0, 'b'};
    stage.closes_when_told = true;
    connection_feed(stage.connection, two, sizeof two);
    iterate();
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
    iterate();
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
    iterate();
    assert_string_equal(stage.seen, "E(3 1006)");
    ASSERT_PEER_GETS("");
}

static void test_end_of_the_socket_is_told(void **state)
{
    (void)state;
    close(stage.peer);
    stage.peer = -1;
    iterate();
    assert_string_equal(stage.seen, "E(3 1006)");
}

static void test_dead_connection_is_counted_until_it_is_reaped(void **state)
{
    (void)state;
    assert_false(connections_have_more(stage.connections));
    connection_abort(stage.connection);
    assert_true(connections_have_more(stage.connections));
    assert_int_equal(stage.metrics.connections, 1);
    iterate();
    assert_false(connections_have_more(stage.connections));
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

static void test_time_in_which_the_process_was_stopped_is_no_silence(void **state)
{
    (void)state;
    clock_skip_ms(100000);
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

/* --- Who takes nothing --- */

/* More than its socket takes; the rest is less than is left of MAX_UNSENT when two have it. */
static void fill(struct connection *connection)
{
    static const uint8_t much[65536];
    while (connection_private_len(connection) < MAX_UNSENT / 10 * 3) {
        connection_send(connection, FRAME_BINARY, much, sizeof much);
        connections_flush(stage.connections);
    }
}

static void test_who_takes_nothing_goes_when_half_of_what_may_wait_for_all_is_waiting(void **state)
{
    int slow[2], reading[2];
    (void)state;
    assert_int_equal(make_pair(slow), 0);
    assert_int_equal(make_pair(reading), 0);
    struct connection *other = connection_new(stage.connections, slow[0], &callbacks, &stage);
    struct connection *good = connection_new(stage.connections, reading[0], &callbacks, &stage);
    fill(stage.connection);
    pass(PING_S + 1);
    assert_false(connection_is_closing(stage.connection));
    fill(other);
    assert_true(connections_are_congested(stage.connections));
    pass(PING_S + 1);
    assert_true(connection_is_closing(stage.connection));
    assert_true(connection_is_closing(other));
    assert_false(connection_is_closing(good));
    close(slow[1]);
    close(reading[1]);
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
        TEST(close_comes_after_what_is_queued_and_nothing_after_it),
        TEST(peers_close_is_answered_with_its_code),
        TEST(close_from_on_message_ends_the_reading),
        TEST(breaking_the_protocol_closes),
        TEST(abort_is_told_once_at_the_end_of_the_iteration),
        TEST(end_of_the_socket_is_told),
        TEST(dead_connection_is_counted_until_it_is_reaped),
        TEST(freeing_all_tells_nobody),
        TEST(silent_peer_is_pinged_then_dropped),
        TEST(any_byte_shows_that_a_peer_is_there),
        TEST(time_in_which_the_process_was_stopped_is_no_silence),
        TEST(peer_that_does_not_close_is_waited_for_five_seconds),
        TEST(slow_one_has_thirty_seconds_to_take_its_close_frame),
        TEST(who_takes_nothing_goes_when_half_of_what_may_wait_for_all_is_waiting),
        TEST(echo_sends_back_what_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
