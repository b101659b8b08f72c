/* The supervisor and the service manager: what it tells of its workers, and which of them it ends.
 */
#include "service_manager.h"
#include "supervisor.h"
#include "unit.h"

#include "base/clock.h"
#include "base/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 512, TIMEOUT_MS = 30000, TICK_MS = 50 };

static int manager = -1;  /* its end */
static int to_workers[2]; /* each byte lets one worker become ready */
static int from_workers[2];

static int open_manager(void **state)
{
    (void)state;
    manager = service_manager_open();
    assert_int_equal(pipe(to_workers), 0);
    assert_int_equal(pipe(from_workers), 0);
    return 0;
}

static int close_manager(void **state)
{
    (void)state;
    service_manager_close(manager);
    for (size_t i = 0; i < 2; i++) {
        close(to_workers[i]);
        close(from_workers[i]);
    }
    return 0;
}

static bool arrives(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, TIMEOUT_MS) == 1;
}

/* The next datagram that is not the watchdog's. */
static const char *heard(void)
{
    static char words[WORDS];
    do {
        if (!arrives(manager))
            return "nothing";
        ssize_t len = recv(manager, words, sizeof words - 1, 0);
        words[len > 0 ? len : 0] = '\0';
    } while (strcmp(words, "WATCHDOG=1") == 0);
    return words;
}

/* --- Workers --- */

static void run_until_asked(struct service *service, bool ticks)
{
    sigset_t asked;
    const struct timespec tick = {0, TICK_MS * 1000000};
    sigemptyset(&asked);
    sigaddset(&asked, SIGTERM);
    while (sigtimedwait(&asked, NULL, &tick) != SIGTERM)
        if (ticks)
            service_tick(service, clock_monotonic_ms());
}

static int become_ready_when_allowed(const struct config *config, struct service *service)
{
    char byte;
    (void)config;
    if (read(to_workers[0], &byte, 1) == 1)
        service_ready(service);
    run_until_asked(service, true);
    return 0;
}

/* Tells its number; the first process that has the number 1 then hangs. */
static int hang_once(const struct config *config, struct service *service)
{
    char number = config->gateway_id[strlen(config->gateway_id) - 1];
    char byte;
    if (write(from_workers[1], &number, 1) != 1)
        return 1;
    service_ready(service);
    bool hangs = number == '1' && read(to_workers[0], &byte, 1) == 1 && byte == 'h';
    run_until_asked(service, !hangs);
    return 0;
}

/* --- The supervisor --- */

static pid_t start(int (*work)(const struct config *, struct service *))
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char error[256];
    char *argv[] = {(char[]){"yukizuri"}, (char[]){"--workers=2"},
                    (char[]){"--redis=redis://127.0.0.1:1"}, NULL};
    char *environment[] = {NULL};
    struct config config;
    signals_begin();
    config_load(&config, 3, argv, environment);
    struct service *service = service_take(error, sizeof error);
    int status = supervisor_run(&config, service, work);
    service_free(service);
    config_done(&config);
    _exit(status);
}

static void stop(pid_t pid)
{
    int status;
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_the_service_is_ready_when_every_worker_is(void **state)
{
    (void)state;
    pid_t pid = start(become_ready_when_allowed);
    assert_string_equal(heard(), "STATUS=0 of 2 workers are ready");
    assert_int_equal(write(to_workers[1], "x", 1), 1);
    assert_string_equal(heard(), "STATUS=1 of 2 workers are ready");
    assert_int_equal(write(to_workers[1], "x", 1), 1);
    assert_string_equal(heard(), "READY=1");
    assert_string_equal(heard(), "STATUS=2 of 2 workers are ready");
    stop(pid);
    assert_string_equal(heard(), "STOPPING=1");
}

static void test_a_worker_that_hangs_is_ended_and_another_takes_its_place(void **state)
{
    char numbers[3];
    (void)state;
    setenv("WATCHDOG_USEC", "2000000", 1);
    assert_int_equal(write(to_workers[1], "ho", 2), 2); /* the second 1 is orderly */
    pid_t pid = start(hang_once);
    for (size_t i = 0; i < sizeof numbers; i++) {
        assert_true(arrives(from_workers[0]));
        assert_int_equal(read(from_workers[0], &numbers[i], 1), 1);
    }
    assert_int_equal(numbers[0] + numbers[1], '1' + '2');
    assert_int_equal(numbers[2], '1');
    stop(pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_manager, close_manager)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_service_is_ready_when_every_worker_is),
        TEST(test_a_worker_that_hangs_is_ended_and_another_takes_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
