/* The subscribers of one room, in both ways of sending. (Of several rooms: test_fanout_rooms.c.) */
#include "unit.h"

#include "fanout_world.h"

#include "websocket/output.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void check_everybody_gets_everything(bool uring)
{
    set_up(uring);
    for (int i = 0; i < MOST; i++)
        come(room_log_head(stage.log));
    iterate();
    say("a");
    say("b");
    iterate();
    say("c");
    iterate();
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
    iterate();
    say("a");
    say("b");
    iterate();
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
    iterate();
    say("a");
    loop_once(); /* the first batch */
    assert_true(subscribers_is_busy(stage.subscribers));
    say("b");
    loop_once(); /* the second one */
    assert_string_equal(received(BATCH_SEND_MOST), "ab");
    assert_string_equal(received(BATCH_SEND_MOST * 2), "");
    iterate();
    for (int i = 0; i < MOST; i++) {
        const char *rest = i == BATCH_SEND_MOST ? "" : i < BATCH_SEND_MOST ? "a" : "ab";
        assert_string_equal(received(i), rest);
        assert_string_equal(received(i), i < BATCH_SEND_MOST ? "b" : "");
    }
    assert_int_equal(stage.served_to, 2);
    tear_down();
}

static char expected[MOST][4096], arrived[MOST][4096];

/* Nothing is due: whoever is still here has everything, whoever left has what came before. */
static void check_all_have_all(void)
{
    iterate();
    for (int i = 0; i < stage.count; i++) {
        for (const char *more = received(i); more[0] != '\0'; more = received(i))
            strcat(arrived[i], more);
        if (stage.members[i] != NULL)
            assert_string_equal(arrived[i], expected[i]);
        else
            assert_memory_equal(arrived[i], expected[i], strlen(arrived[i]));
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
    subscribers_remove(stage.subscribers, stage.members[who]);
    stage.members[who] = NULL;
}

/* Members come and go at any moment of a flush; everybody gets each letter once, in order. */
static void check_coming_and_going(unsigned seed)
{
    memset(expected, 0, sizeof expected);
    memset(arrived, 0, sizeof arrived);
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
    iterate();
    say("a");
    connection_send(stage.members[first], FRAME_TEXT, "[own]", 5);
    iterate();
    say("b");
    iterate();
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
    iterate();
    say("a");
    say("b");
    iterate();
    int late = come(1);
    int new = come(room_log_head(stage.log));
    say("c");
    iterate();
    say("d");
    iterate();
    assert_string_equal(received(0), "abcd");
    assert_string_equal(received(late), "bcd");
    assert_string_equal(received(new), "cd");
    tear_down();
}

static void check_full_socket(bool uring)
{
    static char text[60000];
    set_up(uring);
    int slow = come(0);
    int quick = come(0);
    size_t quick_got = 0;
    memset(text, 'x', sizeof text - 1);
    iterate();
    for (int i = 0; i < 12; i++) { /* more than a socket holds, less than the backlog */
        say(text);
        iterate();
        quick_got += drain(quick);
    }
    assert_int_equal(quick_got, 12 * (sizeof text - 1 + 4));
    assert_true(connection_is_blocked(stage.members[slow]));
    size_t slow_got = 0;
    for (int i = 0; i < 100 && slow_got < quick_got; i++) {
        slow_got += drain(slow);
        iterate();
    }
    assert_int_equal(slow_got, quick_got);
    say("end");
    iterate();
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
        iterate();
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
    iterate();
    for (int i = 0; i < 60 && stage.metrics.slow_closed == 0; i++) {
        say(text);
        iterate();
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

/* Its socket takes more again and a message of its is there, in the same iteration: the answer
 * comes after the rest of the frame that it got half of. */
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
    iterate();
    for (int i = 0; i < 6; i++) {
        say(text);
        iterate();
    }
    assert_true(connection_is_blocked(stage.members[slow]));
    assert_int_equal(write(stage.peers[slow], "\x81\x82\0\0\0\0hi", 8), 8);
    for (int i = 0; i < 100; i++) {
        ssize_t more;
        while ((more = read(stage.peers[slow], got + len, sizeof got - len)) > 0)
            len += (size_t)more;
        iterate();
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
    iterate();
    close(stage.peers[2]);
    stage.peers[2] = open("/dev/null", O_RDONLY);
    say("a");
    iterate();
    assert_int_equal(subscribers_count(stage.subscribers), 4);
    say("b");
    iterate();
    assert_string_equal(received(0), "ab");
    assert_string_equal(received(4), "ab");
    stage.members[2] = NULL;
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
