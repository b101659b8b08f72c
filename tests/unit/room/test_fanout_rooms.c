/* The fanout of several rooms, which share batches. */
#include "unit.h"

#include "fanout_world.h"

#include "websocket/output.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A second room of the same gateway, with members of its own. */
struct other {
    struct room_log *log;
    struct subscribers *subscribers;
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
    struct subscribers *mine = stage.subscribers;
    *other = (struct other){.log = room_log_new(1000), .first = stage.count, .count = count};
    const struct subscribers_options options = {
        .queue = fanout_queue(stage.fanout),
        .log = other->log,
        .on_served = on_other_served,
        .owner = other,
    };
    stage.subscribers = other->subscribers = subscribers_new(&options);
    while (count-- > 0)
        come(0);
    stage.subscribers = mine;
}

static void close_other(struct other *other)
{
    for (int i = other->first; i < other->first + other->count; i++) {
        subscribers_remove(other->subscribers, stage.members[i]);
        stage.members[i] = NULL;
    }
    subscribers_free(other->subscribers);
    room_log_free(other->log);
}

static void tell_there(struct other *other, const char *text, bool urgent)
{
    struct room_log_mark mark = {.seq = ++stage.seq};
    subscribers_append(other->subscribers, frame_new_text(text, strlen(text)), mark, urgent);
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
    iterate();
    tell_there(&other, "p", false);
    say("a");
    loop_once();
    uint32_t shared = BATCH_SEND_MOST - BATCH_SEND_MOST / 4; /* the other room has the rest */
    assert_string_equal(received((int)shared - 1), "a");
    assert_string_equal(received((int)shared), "");
    assert_string_equal(received(100), "p");
    assert_string_equal(received(100 + BATCH_SEND_MOST / 4), "");
    say_there(&other, "b"); /* now it is urgent, and behind the rest of the first room */
    iterate();
    for (int i = (int)shared; i < 100; i++)
        assert_string_equal(received(i), "a");
    assert_string_equal(received(100), "b");
    assert_string_equal(received(249), "pb");
    assert_int_equal(other.served_to, 2);
    close_other(&other);
    tear_down();
}

/* One breaks while another that is dead waits to be reaped: what the others are sent still goes. */
static void test_two_broken_sockets_in_a_iteration_stopped_all_private_bytes(void **state)
{
    (void)state;
    set_up(true);
    for (int i = 0; i < 3; i++)
        come(0);
    iterate();
    close(stage.peers[0]);
    stage.peers[0] = -1;
    connection_send(stage.members[0], FRAME_PING, NULL, 0);
    connection_abort(stage.members[1]);
    iterate();
    assert_int_equal(subscribers_count(stage.subscribers), 1);
    stage.members[0] = stage.members[1] = NULL;
    connection_send(stage.members[2], FRAME_TEXT, "x", 1);
    iterate();
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
    iterate();
    say("a");
    say_there(&other, "b");
    loop_once();
    assert_string_equal(received(99), "a");
    assert_string_equal(received(100), "b");
    assert_string_equal(received(100 + BATCH_SEND_MOST - 100 - 1), "b");
    assert_string_equal(received(BATCH_SEND_MOST), ""); /* in the next one */
    assert_int_equal(stage.served_to, 1);
    assert_true(subscribers_is_busy(other.subscribers));
    say("c"); /* behind the rest of the other room */
    iterate();
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
    iterate();
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 4; i++) {
        say(text);
        say_there(&other, text);
    }
    for (int i = 0; i < 100 && got[0] + got[1] < 2 * all; i++) {
        iterate();
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
    iterate();
    say_there(&other, "b");
    close_other(&other);
    say("a");
    iterate();
    assert_string_equal(received(0), "a");
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said_overtakes_who_comes_and_goes_elsewhere),
        cmocka_unit_test(test_two_broken_sockets_in_a_iteration_stopped_all_private_bytes),
        cmocka_unit_test(test_rooms_share_a_batch_and_take_turns),
        cmocka_unit_test(test_what_does_not_fit_into_a_batch_is_in_the_next),
        cmocka_unit_test(test_a_room_that_closes_in_line_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
