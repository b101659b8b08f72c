/* What the service manager is told, each thing once, and the watchdog as often as it wants; and the
 * sockets that it gives. */
#include "service_manager.h"
#include "unit.h"

#include "base/service.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 512, GIVEN = 3, FREE_FROM = SERVICE_MANAGER_FREE_FROM };

static int manager = -1; /* its end */

static int open_manager(void **state)
{
    (void)state;
    manager = service_manager_open();
    return 0;
}

static int close_manager(void **state)
{
    (void)state;
    service_manager_close(manager);
    return 0;
}

/* The next datagram; "" where there is none. */
static const char *heard(void)
{
    static char words[ROOM];
    ssize_t len = recv(manager, words, sizeof words - 1, 0);
    words[len > 0 ? len : 0] = '\0';
    return words;
}

static struct service *take(void)
{
    char error[256] = "";
    struct service *service = service_take(error, sizeof error);
    if (service == NULL)
        fail_msg("%s", error);
    return service;
}

static void test_each_change_is_told_once(void **state)
{
    struct service *service = take();
    (void)state;
    assert_string_equal(heard(), "");
    service_ready(service);
    service_ready(service);
    service_status(service, "3 members");
    service_status(service, "3 members");
    service_status(service, "4 members");
    service_stopping(service);
    service_stopping(service);
    assert_string_equal(heard(), "READY=1");
    assert_string_equal(heard(), "STATUS=3 members");
    assert_string_equal(heard(), "STATUS=4 members");
    assert_string_equal(heard(), "STOPPING=1");
    assert_string_equal(heard(), "");
    service_free(service);
}

static void test_a_long_status_is_cut_and_still_told_once(void **state)
{
    char line[2 * ROOM] = "";
    struct service *service = take();
    (void)state;
    memset(line, 'x', sizeof line - 1);
    service_status(service, line);
    service_status(service, line);
    assert_int_equal(strlen(heard()), strlen("STATUS=") + 255);
    assert_string_equal(heard(), "");
    service_free(service);
}

static void test_the_watchdog_is_fed_three_times_in_its_span(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "30000000", 1);
    struct service *service = take();
    size_t count = 0;
    for (int64_t now_ms = 100000; now_ms < 160000; now_ms += 1000) {
        service_tick(service, now_ms);
        count += strcmp(heard(), "WATCHDOG=1") == 0;
    }
    assert_int_equal(count, 6);
    service_free(service);
}

static void test_a_watchdog_of_another_process_or_of_none_is_not_fed(void **state)
{
    static const char *const spans[] = {"30000000", "0", "-1", "x", ""};
    (void)state;
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        char name[64];
        snprintf(name, sizeof name, "@yukizuri-test-%d", (int)getpid());
        setenv("NOTIFY_SOCKET", name, 1);
        setenv("WATCHDOG_USEC", spans[i], 1);
        if (i == 0)
            setenv("WATCHDOG_PID", "1", 1);
        struct service *service = take();
        service_tick(service, 1000000);
        assert_string_equal(heard(), "");
        service_free(service);
    }
}

static void test_a_child_is_not_the_service(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    service_free(take());
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

static void test_without_a_manager_nothing_happens(void **state)
{
    static const char *const paths[] = {NULL, "", "@", "x", "relative/path", "/nothing/there"};
    char long_path[300];
    (void)state;
    memset(long_path, '/', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    for (size_t i = 0; i <= sizeof paths / sizeof *paths; i++) {
        const char *path = i < sizeof paths / sizeof *paths ? paths[i] : long_path;
        unsetenv("NOTIFY_SOCKET");
        if (path != NULL)
            setenv("NOTIFY_SOCKET", path, 1);
        setenv("WATCHDOG_USEC", "3000000", 1);
        struct service *service = take();
        service_ready(service);
        service_status(service, "fine");
        service_tick(service, 1000000);
        service_stopping(service);
        service_free(service);
    }
    service_free(NULL);
    assert_string_equal(heard(), "");
}

/* It has too much to read: the gateway goes on. */
static void test_a_manager_that_does_not_read_is_not_waited_for(void **state)
{
    struct service *service = take();
    char line[32];
    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(line, sizeof line, "%d", i);
        service_status(service, line);
    }
    assert_string_equal(heard(), "STATUS=0");
    service_free(service);
}

/* Makes descriptor 3 a socket of `type` and `count` the number that is announced. */
static void give(int type, bool listening, const char *count)
{
    char pid[32];
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = fcntl(socket(AF_INET, type, 0), F_DUPFD, FREE_FROM);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(dup2(fd, GIVEN), GIVEN);
    close(fd);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_PID", pid, 1);
}

static void test_a_given_socket_is_taken_and_hidden_from_children(void **state)
{
    (void)state;
    give(SOCK_STREAM, true, "1");
    struct service *service = take();
    const struct service_sockets *sockets = service_sockets(service);
    assert_int_equal(sockets->count, 1);
    assert_int_equal(sockets->fds[0], GIVEN);
    assert_int_equal(fcntl(GIVEN, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(GIVEN, F_GETFL) & O_NONBLOCK) != 0);
    assert_null(getenv("LISTEN_FDS"));
    service_free(service);
    assert_int_equal(fcntl(GIVEN, F_GETFD), FD_CLOEXEC);
    close(GIVEN);
}

static void test_sockets_for_another_process_are_left_alone(void **state)
{
    static const char *const pids[] = {"1", "", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof pids / sizeof *pids; i++) {
        give(SOCK_STREAM, true, "1");
        if (pids[i] == NULL)
            unsetenv("LISTEN_PID");
        else
            setenv("LISTEN_PID", pids[i], 1);
        struct service *service = take();
        assert_int_equal(service_sockets(service)->count, 0);
        service_free(service);
        close(GIVEN);
    }
}

static void assert_not_taken(const char *part)
{
    char error[256] = "";
    assert_null(service_take(error, sizeof error));
    if (strstr(error, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, part);
    close(GIVEN);
}

static void test_what_is_no_socket_to_listen_on_is_refused(void **state)
{
    (void)state;
    give(SOCK_STREAM, false, "1");
    assert_not_taken("descriptor 3 is not a listening stream socket");
    give(SOCK_DGRAM, false, "1");
    assert_not_taken("descriptor 3 is not a listening stream socket");
    give(SOCK_STREAM, true, "17");
    assert_not_taken("\"17\" sockets are too many: 16 at most");
    give(SOCK_STREAM, true, "-1");
    assert_not_taken("too many");
}

static void test_a_child_tells_its_parent_and_has_the_sockets(void **state)
{
    int channel[2];
    char words[ROOM];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, channel), 0);
    int end = fcntl(channel[0], F_DUPFD, FREE_FROM);
    int own = fcntl(channel[1], F_DUPFD, FREE_FROM);
    give(SOCK_STREAM, true, "1");
    setenv("WATCHDOG_USEC", "3000000", 1);
    struct service *parent = take();
    struct service *child = service_of_child(parent, own);
    assert_int_equal(service_sockets(child)->count, 1);
    assert_int_equal(service_watchdog_ms(child), 3000);
    service_ready(child);
    assert_int_equal(recv(end, words, sizeof words, 0), strlen("READY=1"));
    service_tick(child, 100000);
    assert_int_equal(recv(end, words, sizeof words, 0), strlen("WATCHDOG=1"));
    assert_string_equal(heard(), "");
    service_free(child);
    service_free(parent);
    close(end);
    close(GIVEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_manager, close_manager)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_change_is_told_once),
        TEST(test_a_long_status_is_cut_and_still_told_once),
        TEST(test_the_watchdog_is_fed_three_times_in_its_span),
        TEST(test_a_watchdog_of_another_process_or_of_none_is_not_fed),
        TEST(test_a_child_is_not_the_service),
        TEST(test_without_a_manager_nothing_happens),
        TEST(test_a_manager_that_does_not_read_is_not_waited_for),
        TEST(test_a_given_socket_is_taken_and_hidden_from_children),
        TEST(test_sockets_for_another_process_are_left_alone),
        TEST(test_what_is_no_socket_to_listen_on_is_refused),
        TEST(test_a_child_tells_its_parent_and_has_the_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
