/* The audience on real sockets (pairs), with a real event loop, in both ways of sending. */
#include "unit.h"

#include "audience.h"
#include "poller.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 600 };

static struct stage {
    struct event_base *base;
    struct poller *poller;
    struct sender *sender;
    struct metrics metrics;
    struct connections *connections;
    struct room_log *log;
    struct audience *audience;
    struct connection *members[MOST];
    int peers[MOST];
    int count;
    uint64_t seq, served_to, passes;
} stage;

static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    (void)owner;
    (void)text;
    (void)data;
    (void)len;
}

static void on_closed(void *owner, uint16_t code)
{
    (void)code;
    audience_remove(stage.audience, owner);
}

static void on_served(void *owner, uint64_t limit)
{
    (void)owner;
    stage.served_to = limit;
    stage.passes++;
}

static void set_up(bool uring)
{
    stage = (struct stage){.base = event_base_new(), .log = room_log_new(1000)};
    stage.sender = sender_new(uring);
    if (stage.sender == NULL) /* no io_uring here */
        stage.sender = sender_new(false);
    stage.poller = poller_new(stage.base);
    const struct connections_options connections = {stage.base, stage.poller, &stage.metrics, 25,
                                                    16384};
    const struct audience_options audience = {
        .base = stage.base,
        .sender = stage.sender,
        .metrics = &stage.metrics,
        .log = stage.log,
        .backlog = 1000000,
        .on_served = on_served,
    };
    stage.connections = connections_new(&connections);
    stage.audience = audience_new(&audience);
}

static void tear_down(void)
{
    while (stage.count-- > 0) {
        audience_remove(stage.audience, stage.members[stage.count]);
        close(stage.peers[stage.count]);
    }
    connections_free(stage.connections);
    audience_free(stage.audience);
    room_log_free(stage.log);
    poller_free(stage.poller);
    sender_free(stage.sender);
    event_base_free(stage.base);
}

static int come(uint64_t position)
{
    static const struct connection_callbacks callbacks = {on_message, on_closed};
    int pair[2];
    int index = stage.count++;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    stage.peers[index] = pair[1];
    stage.members[index] = connection_new(stage.connections, pair[0], &callbacks, NULL);
    audience_add(stage.audience, stage.members[index], position);
    return index;
}

static void say(const char *text)
{
    struct room_log_mark mark = {.seq = ++stage.seq};
    room_log_append(stage.log, frame_new_text(text, strlen(text)), mark);
    audience_tell(stage.audience);
}

/* Until nothing is due any more. */
static void turn(void)
{
    do
        event_base_loop(stage.base, EVLOOP_NONBLOCK);
    while (audience_is_busy(stage.audience));
    event_base_loop(stage.base, EVLOOP_NONBLOCK);
}

/* What a peer has received: the payloads of small frames, one after the other. */
static const char *received(int index)
{
    static char text[65536];
    uint8_t bytes[65536];
    size_t len = 0;
    ssize_t got = read(stage.peers[index], bytes, sizeof bytes);
    for (ssize_t at = 0; got > 0 && at < got; at += 2 + bytes[at + 1]) {
        memcpy(text + len, bytes + at + 2, bytes[at + 1]);
        len += bytes[at + 1];
    }
    text[len] = '\0';
    return text;
}

static void check_everybody_gets_everything(bool uring)
{
    set_up(uring);
    for (int i = 0; i < MOST; i++)
        come(room_log_head(stage.log));
    turn();
    say("a");
    say("b");
    turn();
    assert_int_equal(stage.passes, 1); /* what is said in one turn goes out together */
    say("c");
    turn();
    for (int i = 0; i < MOST; i++)
        assert_string_equal(received(i), "abc");
    assert_int_equal(stage.metrics.messages_out, 3 * MOST);
    assert_int_equal(stage.metrics.bytes_out, 9 * MOST);
    assert_int_equal(stage.served_to, 3);
    tear_down();
}

static void test_everybody_gets_everything(void **state)
{
    (void)state;
    check_everybody_gets_everything(false);
    check_everybody_gets_everything(true);
}

static void test_own_bytes_come_between_shared_frames(void **state)
{
    (void)state;
    set_up(true);
    int first = come(0);
    int second = come(0);
    turn();
    say("a");
    connection_send(stage.members[first], FRAME_TEXT, "[own]", 5);
    turn();
    say("b");
    turn();
    const char *text = received(first);
    assert_true(strcmp(text, "[own]ab") == 0 || strcmp(text, "a[own]b") == 0);
    assert_string_equal(received(second), "ab");
    tear_down();
}

static void test_who_comes_in_behind_gets_the_rest_and_then_what_all_get(void **state)
{
    (void)state;
    set_up(true);
    come(0);
    turn();
    say("a");
    say("b");
    turn();
    int late = come(1);
    int new = come(room_log_head(stage.log));
    say("c");
    turn();
    say("d");
    turn();
    assert_string_equal(received(0), "abcd");
    assert_string_equal(received(late), "bcd");
    assert_string_equal(received(new), "cd");
    tear_down();
}

/* Reads a large part of what a slow member has; returns how many bytes. */
static size_t drain(int index)
{
    static uint8_t bytes[1 << 20];
    size_t all = 0;
    ssize_t got;
    while ((got = read(stage.peers[index], bytes, sizeof bytes)) > 0)
        all += (size_t)got;
    return all;
}

static void check_full_socket(bool uring)
{
    static char text[60000];
    set_up(uring);
    int slow = come(0);
    int quick = come(0);
    size_t quick_got = 0;
    memset(text, 'x', sizeof text - 1);
    turn();
    for (int i = 0; i < 12; i++) { /* more than a socket holds, less than the backlog */
        say(text);
        turn();
        quick_got += drain(quick);
    }
    assert_int_equal(quick_got, 12 * (sizeof text - 1 + 4));
    assert_true(connection_is_blocked(stage.members[slow]));
    size_t slow_got = 0;
    for (int i = 0; i < 100 && slow_got < quick_got; i++) {
        slow_got += drain(slow);
        turn();
    }
    assert_int_equal(slow_got, quick_got);
    say("end");
    turn();
    assert_string_equal(received(slow), "end");
    tear_down();
}

static void test_a_full_socket_gets_the_rest_later(void **state)
{
    (void)state;
    check_full_socket(false);
    check_full_socket(true);
}

static void test_a_broken_socket_is_reaped_and_the_others_do_not_notice(void **state)
{
    (void)state;
    set_up(true);
    for (int i = 0; i < 5; i++)
        come(0);
    turn();
    close(stage.peers[2]);
    stage.peers[2] = open("/dev/null", O_RDONLY);
    say("a");
    turn();
    assert_int_equal(audience_count(stage.audience), 4);
    say("b");
    turn();
    assert_string_equal(received(0), "ab");
    assert_string_equal(received(4), "ab");
    stage.members[2] = stage.members[0]; /* it is gone: tear_down finds the first one twice */
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_gets_everything),
        cmocka_unit_test(test_own_bytes_come_between_shared_frames),
        cmocka_unit_test(test_who_comes_in_behind_gets_the_rest_and_then_what_all_get),
        cmocka_unit_test(test_a_full_socket_gets_the_rest_later),
        cmocka_unit_test(test_a_broken_socket_is_reaped_and_the_others_do_not_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
