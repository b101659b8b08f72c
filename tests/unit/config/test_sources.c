/* Where settings come from, and how each source is read: the file, the environment, the command
 * line. */
#include "unit.h"

#include "config/config.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;
static struct config_result result;
static char path[] = "/tmp/yukizuri-sources-XXXXXX";
static char *no_environment[] = {NULL};

static void load(char *const *environment, const char *first, const char *second, const char *third)
{
    char *argv[] = {(char[]){"yukizuri"}, (char *)(uintptr_t)first, (char *)(uintptr_t)second,
                    (char *)(uintptr_t)third, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    result = config_load(&config, argc, argv, environment);
}

static void load_bytes(const char *text, size_t len)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    load(no_environment, "--config", path, NULL);
}

static void load_text(const char *text)
{
    load_bytes(text, strlen(text));
    if (result.action != CONFIG_RUN)
        fail_msg("%s: %s", text, result.error);
}

static void assert_says(const char *part)
{
    if (result.action != CONFIG_FAILED || strstr(result.error, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", result.error, part);
    assert_null(strchr(result.error, '\n'));
    config_done(&config);
}

static void assert_file_fails(const char *text, const char *part)
{
    load_bytes(text, strlen(text));
    assert_says(part);
}

static void test_a_value_in_the_file_is_what_a_reader_sees(void **state)
{
    static const char *const files[] = {
        "log-file=/a b",
        "\tlog-file\t=\t/a b\t \n",
        "log-file = /a b\r\n",
        "log-file = \"/a b\"\n",
        "log-file = '/a b' # c\n",
        "log-file = /a b # a comment\n",
        "\xef\xbb\xbflog-file = /a b\n",
        "# c\n\n   \n#\nlog-file = /a b\t#c\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        load_text(files[i]);
        assert_string_equal(config.log_file, "/a b");
        config_done(&config);
    }
    load_text("log-file = \" a # b \"");
    assert_string_equal(config.log_file, " a # b ");
    config_done(&config);
    load_text("log-file = /a#b");
    assert_string_equal(config.log_file, "/a#b");
    config_done(&config);
    load_text("log-file = # none");
    assert_null(config.log_file);
    config_done(&config);
    load_text("log-file = '\"'");
    assert_string_equal(config.log_file, "\"");
    config_done(&config);
    load_text("redis = redis://:p=w@h:1/2");
    assert_string_equal(config.redis_url.password, "p=w");
    config_done(&config);
}

static void test_a_mistake_in_the_file_is_told_with_its_line(void **state)
{
    char where[64];
    (void)state;
    snprintf(where, sizeof where, "%s:3: ping: \"x\" is not a number", path);
    assert_file_fails("room = tea\n\nping = x\n", where);
    snprintf(where, sizeof where, "%s:2: unknown setting \"nonsense\"", path);
    assert_file_fails("\r\nnonsense = 1\n", where);
    assert_file_fails("\n\nMAX_TEXT = 5", ":3: unknown setting \"MAX_TEXT\"; is max-text meant?");
    assert_file_fails("--max-text = 5", "is max-text meant?");
    assert_file_fails("max-text 5", ":1: expected \"SETTING = VALUE\"");
    assert_file_fails("[server]", ":1: expected");
    assert_file_fails("= 5", ":1: unknown setting \"\"");
    assert_file_fails("log-file = \"/a", ":1: log-file: the quote \" is not closed");
    assert_file_fails("log-file = '/a' b", "something follows the closing quote");
    assert_file_fails("addr = \":1\", \":2\"", "something follows the closing quote");
    assert_file_fails("ping = 5\nroom = tea\nping = 6", ":3: ping: stands on line 1 already");
    assert_file_fails("trusted-proxy = 10.0.0.0/8\ntrusted-proxy = ten",
                      ":2: trusted-proxy: \"ten\"");
    assert_file_fails("room =", ":1: room: is empty");
    assert_file_fails("ping =", ":1: ping: \"\" is not a number");
    /* what only several settings together show */
    assert_file_fails("\nworkers = 2\naddr = unix:/x", ":2: workers: only one gateway");
    assert_file_fails("\necho-path = /e", ":2: echo-path: only allowed");
    load_bytes("\xff\xfer\0o\0o\0m\0", 10);
    assert_says("holds a NUL byte");
    load(no_environment, "--config", "/tmp", NULL);
    assert_says("cannot read /tmp: Is a directory");
    load(no_environment, "--config=", NULL, NULL);
    assert_says("config: needs the path of a file");
    load(no_environment, "--config", "/dev/zero", NULL);
    assert_says("/dev/zero is no file of settings");
}

static void test_an_empty_variable_is_as_good_as_none(void **state)
{
    char *environment[] = {(char[]){"YUKIZURI_PING="},
                           (char[]){"YUKIZURI_ADDR="},
                           (char[]){"YUKIZURI_ROOM="},
                           (char[]){"YUKIZURI_LOGGING="},
                           (char[]){"YUKIZURI_CONFIG="},
                           (char[]){"YUKIZURI_REDIS="},
                           (char[]){"YUKIZURI_UNHEARD="},
                           (char[]){"YUKIZURI_GATEWAY_ID="},
                           NULL};
    (void)state;
    load(environment, NULL, NULL, NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_int_equal(config.ping, 25);
    assert_string_equal(config.addr.items[0], ":8080");
    assert_string_equal(config.room, "lobby");
    assert_true(config.logging);
    assert_int_equal(result.warning_count, 0);
    config_done(&config);
}

/* As where a container manager names other services so. */
static void test_foreign_variables_leave_room_for_what_is_wrong(void **state)
{
    char variables[40][32];
    char *environment[41] = {NULL};
    bool warned = false;
    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(variables[i], sizeof variables[i], "YUKIZURI_SERVICE_%d=1", i);
        environment[i] = variables[i];
    }
    load(environment, "--trusted-proxy", "0.0.0.0/0", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    for (size_t i = 0; i < result.warning_count; i++)
        warned |= strstr(result.warnings[i], "is everybody") != NULL;
    assert_true(warned);
    config_done(&config);
}

static void test_a_mistake_in_the_environment_names_the_variable(void **state)
{
    (void)state;
    load((char *[]){(char[]){"YUKIZURI_MAX_TEXT=x"}, NULL}, NULL, NULL, NULL);
    assert_says("YUKIZURI_MAX_TEXT: \"x\" is not a number");
    load((char *[]){(char[]){"YUKIZURI_ROOM=a\nb"}, NULL}, NULL, NULL, NULL);
    assert_says("YUKIZURI_ROOM: \"a?b\" is not a fair room name");
    load((char *[]){(char[]){"YUKIZURI_REDIS=redis://:se/cret@h"}, NULL}, NULL, NULL, NULL);
    assert_null(strstr(result.error, "cret"));
    assert_says("YUKIZURI_REDIS: a '/' in the user or password is written as %2F");
    load((char *[]){(char[]){"YUKIZURI_ADDR=:1\n:2"}, NULL}, NULL, NULL, NULL);
    assert_int_equal(config.addr.count, 2);
    config_done(&config);
}

static void assert_bool(const char *argument, const char *value, bool expected)
{
    load(no_environment, argument, value, NULL);
    if (result.action != CONFIG_RUN)
        fail_msg("%s %s: %s", argument, value, result.error);
    assert_int_equal(config.log_text, expected);
    config_done(&config);
}

/* Word by word what --help says of BOOL. */
static void test_a_bool_is_what_the_help_says(void **state)
{
    (void)state;
    assert_bool("--log-text", "true", true);
    assert_bool("--log-text", "yes", true);
    assert_bool("--log-text", "on", true);
    assert_bool("--log-text", "1", true);
    assert_bool("--log-text", "false", false);
    assert_bool("--log-text", "no", false);
    assert_bool("--log-text", "off", false);
    assert_bool("--log-text", "0", false);
    assert_bool("--log-text", NULL, true);
    assert_bool("--log-text=True", NULL, true);
    assert_bool("-log-text=FALSE", NULL, false);
    assert_bool("-log-text", "off", false);
    load(no_environment, "--log-text", "--ping", "9");
    assert_int_equal(result.action, CONFIG_RUN);
    assert_true(config.log_text);
    assert_int_equal(config.ping, 9);
    config_done(&config);
    load(no_environment, "--log-text", "maybe", NULL);
    assert_says("--log-text: \"maybe\" is neither true nor false (yes or no, on or off, 1 or 0)");
}

static void test_a_setting_is_not_taken_for_a_value(void **state)
{
    (void)state;
    load(no_environment, "--log-file", "--ping", "9");
    assert_says("--log-file needs a value, and \"--ping\" is the next setting");
    load(no_environment, "--config", "--ping", "9");
    assert_says("--config needs a value");
    load(no_environment, "--max-text", "-5", NULL);
    assert_says("--max-text: \"-5\" is not a number");
    load(no_environment, "--log-file", "-x", NULL);
    assert_string_equal(config.log_file, "-x");
    config_done(&config);
    load(no_environment, "--max_text", "5", NULL);
    assert_says("unknown setting --max_text; is --max-text meant?");
    load(no_environment, "--check-config=no", NULL, NULL);
    assert_says("--check-config takes no value");
    load(no_environment, "--", NULL, NULL);
    assert_says("unexpected argument \"--\"");
}

static void test_who_asks_for_help_gets_it_whatever_else_is_wrong(void **state)
{
    char *environment[] = {(char[]){"YUKIZURI_PING=x"}, NULL};
    (void)state;
    load(environment, "--nonsense", "--help", NULL);
    assert_int_equal(result.action, CONFIG_HELP);
    config_done(&config);
    load(environment, "--version", NULL, NULL);
    assert_int_equal(result.action, CONFIG_VERSION);
    config_done(&config);
}

/* --- FILE.d --- */

static char drop_ins[64];

static void write_drop_in(const char *name, const char *text)
{
    char file[128];
    snprintf(file, sizeof file, "%s/%s", drop_ins, name);
    FILE *out = fopen(file, "we");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static int make_drop_ins(void **state)
{
    (void)state;
    snprintf(drop_ins, sizeof drop_ins, "%s.d", path);
    return mkdir(drop_ins, 0700);
}

static int remove_drop_ins(void **state)
{
    static const char *const names[] = {"10.conf", "9.conf",       ".conf",
                                        ".a.conf", "20.conf.orig", "20"};
    char file[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(file, sizeof file, "%s/%s", drop_ins, names[i]);
        unlink(file);
    }
    return rmdir(drop_ins);
}

static void test_later_files_win_in_the_order_of_their_names(void **state)
{
    (void)state;
    write_drop_in("9.conf", "ping = 3\n");
    write_drop_in("10.conf", "ping = 2\ndrain = 2\norigin = https://b.example\n");
    load_text("ping = 1\ndrain = 1\nlease = 1\norigin = https://a.example\norigin = *\n");
    assert_int_equal(config.ping, 3);
    assert_int_equal(config.drain, 2);
    assert_int_equal(config.lease, 1);
    assert_int_equal(config.origin.count, 1);
    assert_string_equal(config.origin.items[0], "https://b.example");
    config_done(&config);
}

static void test_what_is_no_conf_file_in_it_is_left_alone(void **state)
{
    static const char *const names[] = {".conf", ".a.conf", "20.conf.orig", "20"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        write_drop_in(names[i], "nonsense\n");
    load_text("ping = 1\n");
    assert_int_equal(config.ping, 1);
    config_done(&config);
}

static void test_a_mistake_in_one_is_told_with_its_path_and_line(void **state)
{
    (void)state;
    write_drop_in("10.conf", "# c\nping = x\n");
    assert_file_fails("ping = 1\n", ".d/10.conf:2: ping: \"x\"");
    write_drop_in("10.conf", "ping = 2\nping = 3\n");
    assert_file_fails("ping = 1\n", ".d/10.conf:2: ping: stands on line 1 already");
    write_drop_in("10.conf", "max-message = 600\n");
    assert_file_fails("ping = 1\n", ".d/10.conf:1: max-message");
}

#define TEST_DROP_INS(name) cmocka_unit_test_setup_teardown(name, make_drop_ins, remove_drop_ins)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_in_the_file_is_what_a_reader_sees),
        cmocka_unit_test(test_a_mistake_in_the_file_is_told_with_its_line),
        cmocka_unit_test(test_an_empty_variable_is_as_good_as_none),
        cmocka_unit_test(test_foreign_variables_leave_room_for_what_is_wrong),
        cmocka_unit_test(test_a_mistake_in_the_environment_names_the_variable),
        cmocka_unit_test(test_a_bool_is_what_the_help_says),
        cmocka_unit_test(test_a_setting_is_not_taken_for_a_value),
        cmocka_unit_test(test_who_asks_for_help_gets_it_whatever_else_is_wrong),
        TEST_DROP_INS(test_later_files_win_in_the_order_of_their_names),
        TEST_DROP_INS(test_what_is_no_conf_file_in_it_is_left_alone),
        TEST_DROP_INS(test_a_mistake_in_one_is_told_with_its_path_and_line),
    };
    int fd = mkstemp(path);
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
