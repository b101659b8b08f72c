#include "http/given_sockets.h"
#include "http/listen_socket.h"
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { VISITORS = 5, MAX_WAITING = 3, HANGING_QUEUE = 2, TIMEOUT_MS = 5000 };

static const struct listen_socket_options alone = {.shared = false, .mode = 0660};

/* The descriptor of the only socket; -1 when it cannot be opened. */
static int open_one(const char *text, struct listen_address *address, struct listen_socket *out,
                    char error[256])
{
    assert_null(listen_address_parse(text, address));
    if (listen_socket_open(address, &alone, out, error, 256) != 0)
        return -1;
    assert_int_equal(out->count, 1);
    return out->fds[0];
}

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
    int waiting = listen_socket_count_waiting(listener, most);
    for (int i = 0; waiting != expected && i < TIMEOUT_MS; i++) {
        poll(NULL, 0, 1);
        waiting = listen_socket_count_waiting(listener, most);
    }
    return waiting;
}

static void test_waiting_is_the_length_of_the_queue(void **state)
{
    (void)state;
    char error[256];
    int visitors[VISITORS];
    struct listen_address any;
    struct listen_socket opened;
    int listener = open_one("127.0.0.1:0", &any, &opened, error);
    assert_true(listener >= 0);
    /* nobody: one is tried */
    assert_int_equal(listen_socket_count_waiting(listener, VISITORS + 1), 1);
    for (int i = 0; i < VISITORS; i++) {
        visitors[i] = visit(listener);
        assert_int_equal(waiting_at_last(listener, i + 1, VISITORS + 1), i + 1);
    }
    assert_int_equal(listen_socket_count_waiting(listener, MAX_WAITING), MAX_WAITING);
    close(accept(listener, NULL, NULL));
    assert_int_equal(listen_socket_count_waiting(listener, VISITORS + 1), VISITORS - 1);
    for (int i = 0; i < VISITORS; i++)
        close(visitors[i]);
    listen_socket_close(&opened);
}

static void test_waiting_is_the_most_where_the_kernel_does_not_say(void **state)
{
    (void)state;
    char error[256];
    char address[64];
    struct listen_address path;
    struct listen_socket opened;
    snprintf(address, sizeof address, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    int listener = open_one(address, &path, &opened, error);
    assert_true(listener >= 0);
    assert_int_equal(listen_socket_count_waiting(listener, MAX_WAITING), MAX_WAITING);
    listen_socket_reject(&opened);
    listen_socket_close(&opened);
    assert_int_equal(access(path.path, F_OK), -1);
}

/* A gateway that was stopped accepts nobody; when its queue is full, whoever connects waits. */
static void test_a_path_whose_owner_hangs_is_refused_at_once_and_left_alone(void **state)
{
    (void)state;
    char error[256];
    char address[64];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int visitors[HANGING_QUEUE + 1];
    struct listen_address path;
    struct listen_socket opened;
    snprintf(address, sizeof address, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    snprintf(name.sun_path, sizeof name.sun_path, "%s", address + 5);
    int owner = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(owner, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(owner, HANGING_QUEUE), 0);
    for (int i = 0; i <= HANGING_QUEUE; i++) {
        visitors[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(visitors[i], (struct sockaddr *)&name, sizeof name), 0);
    }
    alarm(TIMEOUT_MS / 1000);
    assert_int_equal(open_one(address, &path, &opened, error), -1);
    alarm(0);
    assert_non_null(strstr(error, "another process listens there"));
    assert_int_equal(access(name.sun_path, F_OK), 0);
    for (int i = 0; i <= HANGING_QUEUE; i++)
        close(visitors[i]);
    close(owner);
    assert_true(open_one(address, &path, &opened, error) >= 0); /* it is left over now */
    listen_socket_reject(&opened);
    listen_socket_close(&opened);
}

static void test_a_path_has_its_mode_whatever_the_umask(void **state)
{
    (void)state;
    char error[256];
    char text[64];
    struct listen_address path;
    struct listen_socket opened;
    struct stat status;
    snprintf(text, sizeof text, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    const mode_t masks[] = {0, 077};
    for (size_t i = 0; i < 2; i++) {
        mode_t before = umask(masks[i]);
        assert_true(open_one(text, &path, &opened, error) >= 0);
        umask(before);
        assert_int_equal(stat(path.path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0660);
        listen_socket_reject(&opened);
        listen_socket_close(&opened);
    }
}

/* A successor's, say, after somebody had removed ours by hand. */
static void test_a_path_that_has_become_another_socket_is_left_alone(void **state)
{
    (void)state;
    char error[256];
    char text[64];
    struct listen_address path;
    struct listen_socket first, second;
    snprintf(text, sizeof text, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    assert_true(open_one(text, &path, &first, error) >= 0);
    assert_int_equal(unlink(path.path), 0);
    assert_true(open_one(text, &path, &second, error) >= 0);
    listen_socket_reject(&first);
    listen_socket_close(&first);
    assert_int_equal(access(path.path, F_OK), 0);
    listen_socket_reject(&second);
    listen_socket_close(&second);
    assert_int_equal(access(path.path, F_OK), -1);
}

static void test_a_file_that_is_no_socket_is_never_removed(void **state)
{
    (void)state;
    char error[256];
    char text[64];
    struct listen_address path;
    struct listen_socket opened;
    snprintf(text, sizeof text, "unix:/tmp/yukizuri-listener-%ld", (long)getpid());
    int file = open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(open_one(text, &path, &opened, error), -1);
    assert_non_null(strstr(error, "no socket"));
    assert_int_equal(unlink(text + 5), 0);
}

static void test_a_directory_that_is_not_there_is_named(void **state)
{
    (void)state;
    char error[256];
    struct listen_address path;
    struct listen_socket opened;
    assert_int_equal(open_one("unix:/nonexistent/socket", &path, &opened, error), -1);
    assert_string_equal(error, "cannot listen on unix:/nonexistent/socket: the directory "
                               "/nonexistent cannot be read: No such file or directory");
}

static void test_a_directory_that_somebody_holds_is_named(void **state)
{
    (void)state;
    char error[256];
    char text[64] = "unix:/tmp/yukizuri-listener-XXXXXX";
    struct listen_address path;
    struct listen_socket opened;
    assert_non_null(mkdtemp(text + 5));
    int held = open(text + 5, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX), 0);
    memcpy(text + strlen(text), "/s", 3);
    assert_int_equal(open_one(text, &path, &opened, error), -1);
    assert_non_null(strstr(error, "another process holds it; give the socket a directory of its "
                                  "own"));
    close(held);
    assert_true(open_one(text, &path, &opened, error) >= 0);
    listen_socket_reject(&opened);
    listen_socket_close(&opened);
    *strrchr(text, '/') = '\0';
    assert_int_equal(rmdir(text + 5), 0);
}

static void test_a_name_that_does_not_resolve_is_named(void **state)
{
    (void)state;
    char error[256];
    struct listen_address name;
    struct listen_socket opened;
    assert_int_equal(open_one("no-such-host.invalid:8080", &name, &opened, error), -1);
    assert_non_null(strstr(error, "cannot listen on no-such-host.invalid:8080: the host name"));
}

/* --- Given sockets --- */

static int listen_at(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int listen_at_v4(uint32_t host)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    return listen_at((struct sockaddr *)&any, sizeof any);
}

static void test_a_given_socket_serves_its_address_and_stays_open(void **state)
{
    (void)state;
    char error[256] = "";
    char directory[] = "/tmp/yukizuri-given-XXXXXX";
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(directory));
    snprintf(name.sun_path, sizeof name.sun_path, "%s/s", directory);
    const struct service_sockets given = {
        .fds = {listen_at_v4(INADDR_LOOPBACK), listen_at((struct sockaddr *)&name, sizeof name)},
        .count = 2};
    char *argv[] = {(char[]){"yukizuri"}, NULL};
    char *environment[] = {NULL};
    struct config config;
    struct config_result loaded = config_load(&config, 1, argv, environment);
    assert_int_equal(loaded.action, CONFIG_RUN);
    assert_int_equal(given_sockets_announce(&given, &config, error, sizeof error), 0);
    assert_int_equal(config.addr.count, 2); /* and not the default */
    assert_int_equal(strncmp(config.addr.items[0], "127.0.0.1:", 10), 0);
    assert_string_equal(config.addr.items[1] + 5, name.sun_path);
    assert_int_equal(given_sockets_announce(&given, &config, error, sizeof error), 0);
    for (size_t i = 0; i < given.count; i++) {
        const struct listen_socket_options options = {.mode = 0600, .given = &given};
        struct listen_socket opened;
        assert_int_equal(
            listen_socket_open(&config.listen[i], &options, &opened, error, sizeof error), 0);
        assert_int_equal(opened.count, 1);
        assert_int_equal(opened.fds[0], given.fds[i]);
        listen_socket_reject(&opened);
        listen_socket_close(&opened);
        assert_true(fcntl(given.fds[i], F_GETFD) >= 0);
    }
    close(visit(given.fds[0])); /* whoever comes now waits for the next process */
    assert_int_equal(access(name.sun_path, F_OK), 0);
    config_done(&config);
    close(given.fds[0]);
    close(given.fds[1]);
    unlink(name.sun_path);
    rmdir(directory);
}

static void test_a_given_socket_is_beside_the_addresses_that_somebody_chose(void **state)
{
    (void)state;
    char error[256] = "";
    const struct service_sockets given = {.fds = {listen_at_v4(INADDR_ANY)}, .count = 1};
    char *argv[] = {(char[]){"yukizuri"}, (char[]){"--addr=127.0.0.1:9"},
                    (char[]){"--echo-path=/echo"}, NULL};
    char *environment[] = {NULL};
    struct config config;
    config_load(&config, 2, argv, environment);
    assert_int_equal(given_sockets_announce(&given, &config, error, sizeof error), 0);
    assert_int_equal(config.addr.count, 2);
    assert_string_equal(config.addr.items[0], "127.0.0.1:9");
    config_done(&config);
    config_load(&config, 3, argv, environment);
    assert_int_equal(given_sockets_announce(&given, &config, error, sizeof error), -1);
    assert_non_null(strstr(error, "is not loopback, and echo-path is allowed on loopback alone"));
    config_done(&config);
    close(given.fds[0]);
}

static void test_a_given_socket_without_a_path_is_refused(void **state)
{
    (void)state;
    char error[256] = "";
    const struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    const struct service_sockets given = {
        .fds = {listen_at((const struct sockaddr *)&abstract, sizeof(sa_family_t))}, .count = 1};
    char *argv[] = {(char[]){"yukizuri"}, NULL};
    char *environment[] = {NULL};
    struct config config;
    config_load(&config, 1, argv, environment);
    assert_int_equal(given_sockets_announce(&given, &config, error, sizeof error), -1);
    assert_non_null(strstr(error, "is a socket without a path or port"));
    config_done(&config);
    close(given.fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_is_the_length_of_the_queue),
        cmocka_unit_test(test_waiting_is_the_most_where_the_kernel_does_not_say),
        cmocka_unit_test(test_a_path_whose_owner_hangs_is_refused_at_once_and_left_alone),
        cmocka_unit_test(test_a_path_has_its_mode_whatever_the_umask),
        cmocka_unit_test(test_a_path_that_has_become_another_socket_is_left_alone),
        cmocka_unit_test(test_a_file_that_is_no_socket_is_never_removed),
        cmocka_unit_test(test_a_directory_that_is_not_there_is_named),
        cmocka_unit_test(test_a_directory_that_somebody_holds_is_named),
        cmocka_unit_test(test_a_name_that_does_not_resolve_is_named),
        cmocka_unit_test(test_a_given_socket_serves_its_address_and_stays_open),
        cmocka_unit_test(test_a_given_socket_is_beside_the_addresses_that_somebody_chose),
        cmocka_unit_test(test_a_given_socket_without_a_path_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
