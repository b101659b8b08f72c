/* What the service manager is told: each thing once, and the watchdog as often as it wants. */
#include "unit.h"

#include "base/service_notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ROOM = 512 };

static int manager = -1; /* its end */

/* Listens at a name of this process in the abstract namespace, and tells it in the environment. */
static int open_manager(void **state)
{
    char name[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    int len = snprintf(name, sizeof name, "@yukizuri-test-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, (size_t)len - 1);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return 0;
}

static int close_manager(void **state)
{
    (void)state;
    close(manager);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
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

static void test_each_change_is_told_once(void **state)
{
    struct service_notify *notify = service_notify_new();
    (void)state;
    assert_string_equal(heard(), "");
    service_notify_ready(notify);
    service_notify_ready(notify);
    service_notify_status(notify, "3 members");
    service_notify_status(notify, "3 members");
    service_notify_status(notify, "4 members");
    service_notify_stopping(notify);
    service_notify_stopping(notify);
    assert_string_equal(heard(), "READY=1");
    assert_string_equal(heard(), "STATUS=3 members");
    assert_string_equal(heard(), "STATUS=4 members");
    assert_string_equal(heard(), "STOPPING=1");
    assert_string_equal(heard(), "");
    service_notify_free(notify);
}

static void test_a_long_status_is_cut_and_still_told_once(void **state)
{
    char line[2 * ROOM] = "";
    struct service_notify *notify = service_notify_new();
    (void)state;
    memset(line, 'x', sizeof line - 1);
    service_notify_status(notify, line);
    service_notify_status(notify, line);
    assert_int_equal(strlen(heard()), strlen("STATUS=") + 255);
    assert_string_equal(heard(), "");
    service_notify_free(notify);
}

static void test_the_watchdog_is_fed_three_times_in_its_span(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "30000000", 1);
    struct service_notify *notify = service_notify_new();
    size_t count = 0;
    for (int64_t now_ms = 100000; now_ms < 160000; now_ms += 1000) {
        service_notify_tick(notify, now_ms);
        count += strcmp(heard(), "WATCHDOG=1") == 0;
    }
    assert_int_equal(count, 6);
    service_notify_free(notify);
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
        struct service_notify *notify = service_notify_new();
        service_notify_tick(notify, 1000000);
        assert_string_equal(heard(), "");
        service_notify_free(notify);
    }
}

static void test_a_child_is_not_the_service(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    service_notify_free(service_notify_new());
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
        struct service_notify *notify = service_notify_new();
        service_notify_ready(notify);
        service_notify_status(notify, "fine");
        service_notify_tick(notify, 1000000);
        service_notify_stopping(notify);
        service_notify_free(notify);
    }
    service_notify_free(NULL);
    assert_string_equal(heard(), "");
}

/* It has too much to read: the gateway goes on. */
static void test_a_manager_that_does_not_read_is_not_waited_for(void **state)
{
    struct service_notify *notify = service_notify_new();
    char line[32];
    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(line, sizeof line, "%d", i);
        service_notify_status(notify, line);
    }
    assert_string_equal(heard(), "STATUS=0");
    service_notify_free(notify);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
