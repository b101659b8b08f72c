#include "listener.h"
#include "unit.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { VISITORS = 5, MOST = 3, HANGING_QUEUE = 2, PATIENCE_MS = 5000 };

static int visit(int listener)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    return fd;
}

/* The last step of TCP's handshake may take a moment longer than connect. */
static int waiting_at_last(int listener, int expected, int most)
{
    int waiting = listener_waiting(listener, most);
    for (int i = 0; waiting != expected && i < PATIENCE_MS; i++) {
        poll(NULL, 0, 1);
        waiting = listener_waiting(listener, most);
    }
    return waiting;
}

static void test_waiting_is_the_length_of_the_queue(void **state)
{
    (void)state;
    char error[256];
    int visitors[VISITORS];
    int listener = listener_open("127.0.0.1:0", false, error, sizeof error);
    assert_true(listener >= 0);
    assert_int_equal(listener_waiting(listener, VISITORS + 1), 1); /* nobody: one is tried */
    for (int i = 0; i < VISITORS; i++) {
        visitors[i] = visit(listener);
        assert_int_equal(waiting_at_last(listener, i + 1, VISITORS + 1), i + 1);
    }
    assert_int_equal(listener_waiting(listener, MOST), MOST);
    close(accept(listener, NULL, NULL));
    assert_int_equal(listener_waiting(listener, VISITORS + 1), VISITORS - 1);
    for (int i = 0; i < VISITORS; i++)
        close(visitors[i]);
    close(listener);
}

static void test_waiting_is_the_most_where_the_kernel_does_not_say(void **state)
{
    (void)state;
    char error[256];
    char address[64];
    snprintf(address, sizeof address, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    int listener = listener_open(address, false, error, sizeof error);
    assert_true(listener >= 0);
    assert_int_equal(listener_waiting(listener, MOST), MOST);
    listener_turn_away(listener, address);
    close(listener);
}

/* A gateway that was stopped accepts nobody; when its queue is full, whoever connects waits. */
static void test_a_path_whose_owner_hangs_is_refused_at_once_and_left_alone(void **state)
{
    (void)state;
    char error[256];
    char address[64];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int visitors[HANGING_QUEUE + 1];
    snprintf(address, sizeof address, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    snprintf(name.sun_path, sizeof name.sun_path, "%s", address + 5);
    int owner = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(owner, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(owner, HANGING_QUEUE), 0);
    for (int i = 0; i <= HANGING_QUEUE; i++) {
        visitors[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(visitors[i], (struct sockaddr *)&name, sizeof name), 0);
    }
    alarm(PATIENCE_MS / 1000);
    assert_int_equal(listener_open(address, false, error, sizeof error), -1);
    alarm(0);
    assert_non_null(strstr(error, "Address already in use"));
    assert_int_equal(access(name.sun_path, F_OK), 0);
    for (int i = 0; i <= HANGING_QUEUE; i++)
        close(visitors[i]);
    close(owner);
    int next = listener_open(address, false, error, sizeof error); /* it is left over now */
    assert_true(next >= 0);
    listener_turn_away(next, address);
    close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_is_the_length_of_the_queue),
        cmocka_unit_test(test_waiting_is_the_most_where_the_kernel_does_not_say),
        cmocka_unit_test(test_a_path_whose_owner_hangs_is_refused_at_once_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
