/* The audience on real sockets (pairs), with a real event loop, in both ways of sending. */
#include "unit.h"

#include "room/subscribers.h"
#include "websocket/connections.h"
#include "websocket/output.h"
#include "websocket/poller.h"

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
    struct audiences *audiences;
    struct room_log *log;
    struct audience *audience;
    struct connection *members[MOST];
    int peers[MOST];
    int count;
    int type; /* of the sockets: with SOCK_SEQPACKET a read gives what one send has sent */
    uint64_t seq, served_to;
} stage;

static char large[5000];

/* Answers with a large frame. */
static void on_message(void *owner, bool text, const uint8_t *data, size_t len)
{
    (void)text;
    (void)data;
    (void)len;
    connection_send(owner, FRAME_TEXT, large, sizeof large);
}

static void on_closed(void *owner, const struct connection_end *end)
{
    (void)end;
    audience_remove(stage.audience, owner);
}

static void on_served(void *owner, uint64_t limit)
{
    (void)owner;
    assert_true(limit >= stage.served_to);
    stage.served_to = limit;
}

static void set_up(bool uring)
{
    stage =
        (struct stage){.base = event_base_new(), .log = room_log_new(1000), .type = SOCK_STREAM};
    stage.sender = sender_new(uring);
    if (stage.sender == NULL) /* no io_uring here */
        stage.sender = sender_new(false);
    stage.poller = poller_new(stage.base, &stage.metrics, NULL, NULL);
    stage.audiences = audiences_new(stage.base, stage.sender, &stage.metrics, NULL);
    const struct connections_options connections = {stage.base, stage.poller, &stage.metrics,
                                                    NULL,       25,           16384};
    const struct audience_options audience = {
        .all = stage.audiences,
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
        if (stage.members[stage.count] != NULL)
            audience_remove(stage.audience, stage.members[stage.count]);
        close(stage.peers[stage.count]);
    }
    connections_free(stage.connections);
    audience_free(stage.audience);
    audiences_free(stage.audiences);
    room_log_free(stage.log);
    poller_free(stage.poller);
    sender_free(stage.sender);
    event_base_free(stage.base);
}

static int come(uint64_t position)
{
    static const struct connection_callbacks callbacks = {on_message, NULL, on_closed};
    int pair[2];
    int index = stage.count++;
    assert_int_equal(socketpair(AF_UNIX, stage.type | SOCK_NONBLOCK, 0, pair), 0);
    stage.peers[index] = pair[1];
    stage.members[index] = connection_new(stage.connections, pair[0], &callbacks, NULL);
    connection_set_owner(stage.members[index], stage.members[index]);
    audience_add(stage.audience, stage.members[index], position);
    return index;
}

static void say(const char *text)
{
    struct room_log_mark mark = {.seq = ++stage.seq};
    room_log_append(stage.log, frame_new_text(text, strlen(text)), mark);
    audience_tell(stage.audience, true);
}

/* A single turn of the loop. */
static void loop_once(void)
{
    event_base_loop(stage.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
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
    say("c");
    turn();
    for (int i = 0; i < MOST; i++)
        assert_string_equal(received(i), "abc");
    assert_int_equal(stage.metrics.messages_out, 3 * MOST);
    uint64_t pings = stage.metrics.pings; /* who waits long is pinged */
    assert_int_equal(stage.metrics.bytes_out, 9 * MOST + 2 * pings);
    assert_int_equal(stage.served_to, 3);
    tear_down();
}

static void test_everybody_gets_everything(void **state)
{
    (void)state;
    check_everybody_gets_everything(false);
    check_everybody_gets_everything(true);
}

static void test_what_is_said_in_one_turn_goes_out_together(void **state)
{
    (void)state;
    set_up(true);
    stage.type = SOCK_SEQPACKET;
    for (int i = 0; i < 300; i++)
        come(0);
    turn();
    say("a");
    say("b");
    turn();
    for (int i = 0; i < 300; i++)
        assert_string_equal(received(i), "ab");
    tear_down();
}

/* Who comes later in the round gets what was said meanwhile together with what was said before it;
 * those before them get it on the next round. */
static void test_what_is_said_during_a_flush_waits_for_no_end_of_it(void **state)
{
    (void)state;
    set_up(true);
    stage.type = SOCK_SEQPACKET;
    for (int i = 0; i < MOST; i++)
        come(0);
    turn();
    say("a");
    loop_once(); /* the first batch */
    assert_true(audience_is_busy(stage.audience));
    say("b");
    loop_once(); /* the second one */
    assert_string_equal(received(SENDER_BATCH), "ab");
    assert_string_equal(received(SENDER_BATCH * 2), "");
    turn();
    for (int i = 0; i < MOST; i++) {
        const char *rest = i == SENDER_BATCH ? "" : i < SENDER_BATCH ? "a" : "ab";
        assert_string_equal(received(i), rest);
        assert_string_equal(received(i), i < SENDER_BATCH ? "b" : "");
    }
    assert_int_equal(stage.served_to, 2);
    tear_down();
}

static char expected[MOST][4096], heard[MOST][4096];

/* Nothing is due: whoever is still here has everything, whoever left has what came before. */
static void check_all_have_all(void)
{
    turn();
    for (int i = 0; i < stage.count; i++) {
        for (const char *more = received(i); more[0] != '\0'; more = received(i))
            strcat(heard[i], more);
        if (stage.members[i] != NULL)
            assert_string_equal(heard[i], expected[i]);
        else
            assert_memory_equal(heard[i], expected[i], strlen(heard[i]));
    }
}

static void say_a_letter(void)
{
    char letter[2] = {(char)('a' + rand() % 26), '\0'};
    say(letter);
    for (int i = 0; i < stage.count; i++)
        if (stage.members[i] != NULL)
            strcat(expected[i], letter);
}

static void leave(int who)
{
    if (stage.members[who] == NULL)
        return;
    audience_remove(stage.audience, stage.members[who]);
    stage.members[who] = NULL;
}

/* Members come and go at any moment of a flush; everybody gets each letter once, in order. */
static void check_coming_and_going(unsigned seed)
{
    memset(expected, 0, sizeof expected);
    memset(heard, 0, sizeof heard);
    set_up(seed % 2 == 0);
    srand(seed);
    while (stage.count < 400)
        come(0);
    for (int step = 0; step < 1500; step++) {
        int choice = rand() % 16;
        if (choice < 2 && stage.count < MOST)
            come(room_log_head(stage.log));
        else if (choice < 5)
            leave(rand() % stage.count);
        else if (choice < 9)
            say_a_letter();
        else if (choice < 15)
            loop_once();
        else
            check_all_have_all();
    }
    check_all_have_all();
    tear_down();
}

static void test_members_who_come_and_go_during_a_flush_change_nothing_for_others(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 8; seed++)
        check_coming_and_going(seed);
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

/* Reads all that a peer can get. Returns how many bytes. */
static size_t read_all(int index, uint8_t *out, size_t size)
{
    size_t len = 0;
    ssize_t got;
    do {
        turn();
        got = read(stage.peers[index], out + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    return len;
}

static void test_who_was_too_slow_gets_its_begun_frame_then_4408_and_nothing_else(void **state)
{
    static uint8_t bytes[4000000];
    static char text[60001];
    (void)state;
    set_up(false);
    int slow = come(0);
    memset(text, 'x', sizeof text - 1);
    turn();
    for (int i = 0; i < 60 && stage.metrics.slow_closed == 0; i++) {
        say(text);
        turn();
    }
    assert_int_equal(stage.metrics.slow_closed, 1);
    say("nothing follows the close frame");
    connection_send(stage.members[slow], FRAME_TEXT, "nor this", 8);
    size_t len = read_all(slow, bytes, sizeof bytes);
    size_t at = 0;
    while (bytes[at] == 0x81) { /* the length in 16 bits */
        assert_int_equal(bytes[at + 2] << 8 | bytes[at + 3], sizeof text - 1);
        at += 4 + sizeof text - 1;
    }
    assert_true(at > 0 && at < 1000000); /* what it had not begun to get is not among it */
    assert_int_equal(bytes[at], 0x88);
    assert_int_equal(bytes[at + 2] << 8 | bytes[at + 3], CONNECTION_TOO_SLOW);
    assert_int_equal(at + 2 + bytes[at + 1], len);
    tear_down();
}

/* Walks over whole frames with 16-bit lengths; counts those of each length. */
static void count_frames(const uint8_t *bytes, size_t len, size_t shared_len, int counts[2])
{
    size_t at = 0;
    counts[0] = counts[1] = 0;
    while (at < len) {
        assert_memory_equal(bytes + at, "\x81\x7e", 2);
        size_t frame = (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
        assert_true(frame == shared_len || frame == sizeof large);
        counts[frame == sizeof large]++;
        at += 4 + frame;
    }
    assert_int_equal(at, len);
}

/* Its socket takes more again and a message of its is there, in the same turn: the answer comes
 * after the rest of the frame that it got half of. */
static void test_a_large_answer_does_not_cut_a_shared_frame_in_two(void **state)
{
    static char text[60000];
    static uint8_t got[1 << 20];
    (void)state;
    size_t len = 0;
    int counts[2];
    set_up(true);
    int slow = come(0);
    memset(text, 'x', sizeof text - 1);
    turn();
    for (int i = 0; i < 6; i++) {
        say(text);
        turn();
    }
    assert_true(connection_is_blocked(stage.members[slow]));
    assert_int_equal(write(stage.peers[slow], "\x81\x82\0\0\0\0hi", 8), 8);
    for (int i = 0; i < 100; i++) {
        ssize_t more;
        while ((more = read(stage.peers[slow], got + len, sizeof got - len)) > 0)
            len += (size_t)more;
        turn();
    }
    count_frames(got, len, sizeof text - 1, counts);
    assert_int_equal(counts[0], 6);
    assert_int_equal(counts[1], 1);
    tear_down();
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
    stage.members[2] = NULL;
    tear_down();
}

/* A second room of the same gateway, with members of its own. */
struct other {
    struct room_log *log;
    struct audience *audience;
    int first, count; /* its members are the stage's from `first` on */
    uint64_t served_to;
};

static void on_other_served(void *owner, uint64_t limit)
{
    struct other *other = owner;
    other->served_to = limit;
    for (int i = other->first; i < other->first + other->count; i++)
        if (connection_is_blocked(stage.members[i]))
            return;
    while (room_log_tail(other->log) < limit) /* what was sent is gone at once */
        room_log_evict(other->log);
}

static void open_other(struct other *other, int count)
{
    struct audience *mine = stage.audience;
    *other = (struct other){.log = room_log_new(1000), .first = stage.count, .count = count};
    const struct audience_options options = {
        .all = stage.audiences,
        .log = other->log,
        .on_served = on_other_served,
        .owner = other,
    };
    stage.audience = other->audience = audience_new(&options);
    while (count-- > 0)
        come(0);
    stage.audience = mine;
}

static void close_other(struct other *other)
{
    for (int i = other->first; i < other->first + other->count; i++) {
        audience_remove(other->audience, stage.members[i]);
        stage.members[i] = NULL;
    }
    audience_free(other->audience);
    room_log_free(other->log);
}

static void tell_there(struct other *other, const char *text, bool urgent)
{
    struct room_log_mark mark = {.seq = ++stage.seq};
    room_log_append(other->log, frame_new_text(text, strlen(text)), mark);
    audience_tell(other->audience, urgent);
}

static void say_there(struct other *other, const char *text)
{
    tell_there(other, text, true);
}

static void test_what_is_said_overtakes_who_comes_and_goes_elsewhere(void **state)
{
    (void)state;
    struct other other;
    set_up(true);
    for (int i = 0; i < 100; i++)
        come(0);
    open_other(&other, 150);
    turn();
    tell_there(&other, "p", false);
    say("a");
    loop_once();
    uint32_t shared = SENDER_BATCH - SENDER_BATCH / 4; /* the other room has the rest */
    assert_string_equal(received((int)shared - 1), "a");
    assert_string_equal(received((int)shared), "");
    assert_string_equal(received(100), "p");
    assert_string_equal(received(100 + SENDER_BATCH / 4), "");
    say_there(&other, "b"); /* now it is urgent, and behind the rest of the first room */
    turn();
    for (int i = (int)shared; i < 100; i++)
        assert_string_equal(received(i), "a");
    assert_string_equal(received(100), "b");
    assert_string_equal(received(249), "pb");
    assert_int_equal(other.served_to, 2);
    close_other(&other);
    tear_down();
}

/* One breaks while another that is dead waits to be reaped: what the others are sent still goes. */
static void test_two_broken_sockets_in_a_turn_stopped_all_private_bytes(void **state)
{
    (void)state;
    set_up(true);
    for (int i = 0; i < 3; i++)
        come(0);
    turn();
    close(stage.peers[0]);
    stage.peers[0] = -1;
    connection_send(stage.members[0], FRAME_PING, NULL, 0);
    connection_abort(stage.members[1]);
    turn();
    assert_int_equal(audience_count(stage.audience), 1);
    stage.members[0] = stage.members[1] = NULL;
    connection_send(stage.members[2], FRAME_TEXT, "x", 1);
    turn();
    assert_string_equal(received(2), "x");
    tear_down();
}

static void test_rooms_share_a_batch_and_take_turns(void **state)
{
    (void)state;
    struct other other;
    set_up(true);
    for (int i = 0; i < 100; i++)
        come(0);
    open_other(&other, 100);
    turn();
    say("a");
    say_there(&other, "b");
    loop_once();
    assert_string_equal(received(99), "a");
    assert_string_equal(received(100), "b");
    assert_string_equal(received(100 + SENDER_BATCH - 100 - 1), "b");
    assert_string_equal(received(SENDER_BATCH), ""); /* in the next one */
    assert_int_equal(stage.served_to, 1);
    assert_true(audience_is_busy(other.audience));
    say("c"); /* behind the rest of the other room */
    turn();
    assert_string_equal(received(0), "ac");
    assert_string_equal(received(199), "b");
    assert_int_equal(other.served_to, 1);
    close_other(&other);
    tear_down();
}

/* Several frames of a run are put together; there is room for one such run, not for two. */
static void test_what_does_not_fit_into_a_batch_is_in_the_next(void **state)
{
    static char text[60000];
    (void)state;
    struct other other;
    size_t got[2] = {0, 0};
    size_t all = 4 * (sizeof text - 1 + 4);
    set_up(true);
    come(0);
    open_other(&other, 1);
    turn();
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 4; i++) {
        say(text);
        say_there(&other, text);
    }
    for (int i = 0; i < 100 && got[0] + got[1] < 2 * all; i++) {
        turn();
        got[0] += drain(0);
        got[1] += drain(1);
    }
    assert_int_equal(got[0], all);
    assert_int_equal(got[1], all);
    close_other(&other);
    tear_down();
}

static void test_a_room_that_closes_in_line_is_forgotten(void **state)
{
    (void)state;
    struct other other;
    set_up(true);
    come(0);
    open_other(&other, 3);
    turn();
    say_there(&other, "b");
    close_other(&other);
    say("a");
    turn();
    assert_string_equal(received(0), "a");
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_gets_everything),
        cmocka_unit_test(test_what_is_said_in_one_turn_goes_out_together),
        cmocka_unit_test(test_what_is_said_during_a_flush_waits_for_no_end_of_it),
        cmocka_unit_test(test_members_who_come_and_go_during_a_flush_change_nothing_for_others),
        cmocka_unit_test(test_own_bytes_come_between_shared_frames),
        cmocka_unit_test(test_who_comes_in_behind_gets_the_rest_and_then_what_all_get),
        cmocka_unit_test(test_a_full_socket_gets_the_rest_later),
        cmocka_unit_test(test_who_was_too_slow_gets_its_begun_frame_then_4408_and_nothing_else),
        cmocka_unit_test(test_a_large_answer_does_not_cut_a_shared_frame_in_two),
        cmocka_unit_test(test_a_broken_socket_is_reaped_and_the_others_do_not_notice),
        cmocka_unit_test(test_what_is_said_overtakes_who_comes_and_goes_elsewhere),
        cmocka_unit_test(test_two_broken_sockets_in_a_turn_stopped_all_private_bytes),
        cmocka_unit_test(test_rooms_share_a_batch_and_take_turns),
        cmocka_unit_test(test_what_does_not_fit_into_a_batch_is_in_the_next),
        cmocka_unit_test(test_a_room_that_closes_in_line_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
