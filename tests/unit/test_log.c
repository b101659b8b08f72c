#include "unit.h"

#include "log.h"

#include <unistd.h>

static char path[64];
static char content[4096];

static void read_back(void)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(content, 1, sizeof content - 1, file);
    content[len] = '\0';
    fclose(file);
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

static void test_reopen_follows_the_name(void **state)
{
    char moved[80];
    (void)state;
    snprintf(moved, sizeof moved, "%s.1", path);
    struct log *log = log_open(path, true, "g");
    log_write(log, &(struct log_line){.kind = "first"});
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(log_reopen(log), 0);
    log_write(log, &(struct log_line){.kind = "second"});
    log_close(log);
    read_back();
    assert_null(strstr(content, "first"));
    assert_non_null(strstr(content, "second"));
    unlink(moved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_can_forge_a_line, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_off_writes_nothing, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_reopen_follows_the_name, make_path, remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
