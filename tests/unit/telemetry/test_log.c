#include "unit.h"

#include "telemetry/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, QUIET_MS = 300, LINE_BYTES = 20000, FEW = 500, MANY = 50000 };

static char path[64];
static char content[4096];

static void read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    size_t len = fread(content, 1, sizeof content - 1, file);
    content[len] = '\0';
    fclose(file);
}

static void read_back(void)
{
    read_file(path);
}

static int make_path(void **state)
{
    (void)state;
    strcpy(path, "/tmp/yukizuri-log-XXXXXX");
    close(mkstemp(path));
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_nobody_can_forge_a_line(void **state)
{
    (void)state;
    struct log *log = log_open(path, true, "g\n1");
    log_write(log, &(struct log_line){.kind = "join",
                                      .username = "a\tkind:x\nlevel:y\r\\\x1b[31m\x7f\xc2\x9b",
                                      .err = ""});
    log_close(log);
    read_back();
    assert_non_null(
        strstr(content, "\tusername:a\\tkind:x\\nlevel:y\\r\\\\\\x1b[31m\\x7f\\xc2\\x9b\terr:\n"));
    assert_non_null(strstr(content, "gateway:g\\n1"));
    assert_ptr_equal(strchr(content, '\n'), content + strlen(content) - 1);
    assert_int_equal(strncmp(content, "time:20", 7), 0);
    assert_non_null(strstr(content, "\tlevel:info\tkind:join\t"));
}

static void test_off_writes_nothing(void **state)
{
    (void)state;
    struct log *log = log_open(path, false, "g");
    log_write(log, &(struct log_line){.kind = "join"});
    log_close(log);
    log_write(NULL, &(struct log_line){.kind = "join"});
    read_back();
    assert_string_equal(content, "");
}

/* Reads what is in the file until the word is in it. */
static void await_word(const char *word)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (access(path, F_OK) == 0) {
            read_back();
            if (strstr(content, word) != NULL)
                return;
        }
        poll(NULL, 0, 1);
    }
    fail_msg("there is no %s in %s", word, content);
}

static void test_reopen_follows_the_name(void **state)
{
    char moved[80];
    (void)state;
    snprintf(moved, sizeof moved, "%s.1", path);
    struct log *log = log_open(path, true, "g");
    log_write(log, &(struct log_line){.kind = "first"});
    await_word("first");
    assert_int_equal(rename(path, moved), 0);
    log_reopen(log);
    log_write(log, &(struct log_line){.kind = "second"});
    await_word("second");
    assert_null(strstr(content, "first"));
    log_close(log);
    unlink(moved);
}

static void test_a_reopening_that_fails_is_said_in_the_old_file(void **state)
{
    char moved[80];
    (void)state;
    snprintf(moved, sizeof moved, "%s.1", path);
    struct log *log = log_open(path, true, "g");
    log_write(log, &(struct log_line){.kind = "first"});
    await_word("first");
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    log_reopen(log);
    content[0] = '\0';
    for (int i = 0; i < PATIENCE_MS && strstr(content, "log-file") == NULL; i++) {
        log_tick(log);
        read_file(moved);
        poll(NULL, 0, 1);
    }
    assert_non_null(strstr(content, "\terr:Is a directory\n"));
    log_close(log);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(moved, path), 0);
}

/* --- What stands still --- */

static int ends[2];

/* The log's standard output is a pipe whose other end the test has. */
static struct log *log_into_pipe(void)
{
    int kept = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    struct log *log = log_open(NULL, true, "g");
    dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_non_null(log);
    return log;
}

static int open_pipe(void **state)
{
    (void)state;
    alarm(60); /* a test that waits for ever fails */
    return pipe2(ends, O_CLOEXEC);
}

static int close_pipe(void **state)
{
    (void)state;
    alarm(0);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* The next line, whole; false when there is none for a while. */
static bool read_line(char line[LINE_BYTES])
{
    static char buffer[65536];
    static size_t len;
    char *end;
    struct pollfd in = {.fd = ends[0], .events = POLLIN};
    while ((end = memchr(buffer, '\n', len)) == NULL) {
        if (poll(&in, 1, QUIET_MS) <= 0)
            return false;
        ssize_t got = read(ends[0], buffer + len, sizeof buffer - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
    }
    size_t line_len = (size_t)(end - buffer);
    assert_true(line_len < LINE_BYTES);
    memcpy(line, buffer, line_len);
    line[line_len] = '\0';
    len -= line_len + 1;
    memmove(buffer, end + 1, len);
    return true;
}

static void write_number(struct log *log, unsigned number)
{
    char message[64];
    snprintf(message, sizeof message, "number %u.", number);
    log_write(log, &(struct log_line){.kind = "k", .message = message});
}

static void test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_is_missing_is_said(void **state)
{
    (void)state;
    struct log *log = log_into_pipe();
    int flags = fcntl(ends[1], F_GETFL);
    for (unsigned i = 0; i < MANY; i++)
        write_number(log, i);
    assert_true(log_dropped(log) > 0);
    assert_int_equal(fcntl(ends[1], F_GETFL), flags); /* others may have it, too */
    unsigned expected = 0;
    unsigned missing = 0;
    char line[LINE_BYTES];
    while (read_line(line)) {
        unsigned number;
        assert_int_equal(strncmp(line, "time:20", 7), 0);
        log_tick(log);
        if (strstr(line, "\tkind:log-dropped\t") != NULL) {
            assert_int_equal(missing, 0); /* it is one piece, and one line tells of it */
            assert_int_equal(sscanf(strstr(line, "message:"), "message:%u lines", &missing), 1);
            write_number(log, MANY);
            expected += missing;
            continue;
        }
        assert_int_equal(sscanf(strstr(line, "message:"), "message:number %u.", &number), 1);
        assert_int_equal(number, expected++);
    }
    assert_int_equal(expected, MANY + 1);
    assert_int_equal(missing, log_dropped(log));
    log_close(log);
}

static void test_closing_waits_a_moment_for_a_pipe_that_nobody_reads(void **state)
{
    (void)state;
    struct log *log = log_into_pipe();
    for (unsigned i = 0; i < MANY; i++)
        write_number(log, i);
    log_close(log); /* or the alarm rings */
}

static void test_closing_writes_what_waits(void **state)
{
    (void)state;
    struct log *log = log_into_pipe();
    char line[LINE_BYTES];
    for (unsigned i = 0; i < FEW; i++)
        write_number(log, i);
    log_close(log);
    for (unsigned i = 0; i < FEW; i++)
        assert_true(read_line(line));
}

static void test_lines_of_two_on_one_slow_pipe_do_not_mix(void **state)
{
    (void)state;
    struct log *logs[] = {log_into_pipe(), log_into_pipe()};
    char line[LINE_BYTES];
    unsigned expected = 0;
    for (unsigned i = 0; i < FEW; i++) {
        write_number(logs[0], i);
        write_number(logs[1], i);
    }
    while (read_line(line)) {
        unsigned number;
        int end = 0;
        assert_int_equal(strncmp(line, "time:20", 7), 0);
        assert_int_equal(sscanf(strstr(line, "message:"), "message:number %u.%n", &number, &end),
                         1);
        assert_int_equal(strstr(line, "message:")[end], '\0');
        expected++;
    }
    assert_int_equal(expected, 2 * FEW);
    log_close(logs[0]);
    log_close(logs[1]);
}

static void test_a_long_line_comes_whole(void **state)
{
    (void)state;
    static char text[LINE_BYTES - 256];
    static char line[LINE_BYTES];
    struct log *log = log_into_pipe();
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < FEW / 10; i++)
        log_write(log, &(struct log_line){.kind = "say", .message = text});
    unsigned missing = 0;
    for (unsigned i = 0; i + missing < FEW / 10 && read_line(line); i++) {
        log_tick(log);
        if (strstr(line, "kind:log-dropped") == NULL)
            assert_string_equal(strstr(line, "message:") + 8, text);
        else
            i -= (unsigned)sscanf(strstr(line, "message:"), "message:%u lines", &missing);
    }
    assert_int_equal(missing, log_dropped(log));
    log_close(log);
}

static void await_word_in_fifo(const char *word)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    do {
        ssize_t got = read(fd, content + len, sizeof content - 1 - len);
        assert_true(got > 0);
        len += (size_t)got;
        content[len] = '\0';
    } while (strstr(content, word) == NULL);
    close(fd);
}

static void test_a_fifo_without_a_reader_does_not_hold_up_the_start(void **state)
{
    (void)state;
    alarm(60);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct log *log = log_open(path, true, "g");
    assert_non_null(log);
    log_write(log, &(struct log_line){.kind = "early"});
    await_word_in_fifo("early");
    log_write(log, &(struct log_line){.kind = "later"}); /* the first reader is gone */
    await_word_in_fifo("later");
    log_close(log);
    alarm(0);
}

static void test_what_a_full_disk_did_not_take_is_in_the_file_that_is_opened_instead(void **state)
{
    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/full", path), 0);
    struct log *log = log_open(path, true, "g");
    for (unsigned i = 0; i < 3; i++)
        write_number(log, i);
    assert_int_equal(unlink(path), 0);
    log_reopen(log);
    await_word("number 2.");
    assert_non_null(strstr(content, "number 0."));
    log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_can_forge_a_line, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_off_writes_nothing, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_reopen_follows_the_name, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_a_reopening_that_fails_is_said_in_the_old_file,
                                        make_path, remove_path),
        cmocka_unit_test_setup_teardown(
            test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_is_missing_is_said, open_pipe,
            close_pipe),
        cmocka_unit_test_setup_teardown(test_closing_waits_a_moment_for_a_pipe_that_nobody_reads,
                                        open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_closing_writes_what_waits, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_lines_of_two_on_one_slow_pipe_do_not_mix, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(test_a_long_line_comes_whole, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_a_fifo_without_a_reader_does_not_hold_up_the_start,
                                        make_path, remove_path),
        cmocka_unit_test_setup_teardown(
            test_what_a_full_disk_did_not_take_is_in_the_file_that_is_opened_instead, make_path,
            remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
