/* What a good value is, and which values contradict each other. */
#include "unit.h"

#include "config/config.h"
#include "config/password_file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;
static struct config_result result;
static char *no_environment[] = {NULL};

static void load(const char *first, const char *second, const char *third, const char *fourth)
{
    char *argv[] = {(char[]){"yukizuri"},     (char *)(uintptr_t)first,  (char *)(uintptr_t)second,
                    (char *)(uintptr_t)third, (char *)(uintptr_t)fourth, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    result = config_load(&config, argc, argv, no_environment);
}

static void assert_fails(const char *first, const char *second, const char *part)
{
    load(first, second, NULL, NULL);
    if (result.action != CONFIG_FAILED || strstr(result.error, part) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", first, result.error, part);
    config_done(&config);
}

static void assert_good(const char *first, const char *second)
{
    load(first, second, NULL, NULL);
    if (result.action != CONFIG_RUN)
        fail_msg("%s: %s", first, result.error);
    config_done(&config);
}

/* "": no warning. */
static void assert_warns(const char *first, const char *second, const char *part)
{
    load(first, second, NULL, NULL);
    if (result.action != CONFIG_RUN)
        fail_msg("%s: %s", first, result.error);
    if (*part == '\0')
        assert_int_equal(result.warning_count, 0);
    else if (result.warning_count != 1 || strstr(result.warnings[0], part) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", first, result.warnings[0], part);
    config_done(&config);
}

static void test_behind_an_addr_may_stand_that_a_proxy_header_comes(void **state)
{
    static const struct {
        const char *text;
        bool proxied;
    } good[] = {
        {":8081?proxy=on", true},
        {":8081?proxy=off", false},
        {":8081", false},
        {"127.0.0.1:8081?proxy=on", true},
        {"[::1]:80?proxy=on", true},
        {"localhost:1?proxy=on", true},
        {"unix:/x?proxy=on", true},
        {"unix:/x?proxy=off", false},
        {"unix:/x?y", false},
        {"unix:/x?y?proxy=on", true},
        {"unix:/x?proxy=on?proxy=off", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[LISTEN_TEXT_BYTES];
        load("--addr", good[i].text, NULL, NULL);
        assert_int_equal(config.listen[0].proxied, good[i].proxied);
        listen_address_format(&config.listen[0], text);
        if (strstr(good[i].text, "=off") == NULL)
            assert_string_equal(text, good[i].text);
        config_done(&config);
    }
    load("--addr", "unix:/x?y", NULL, NULL);
    assert_string_equal(config.listen[0].path, "/x?y");
    config_done(&config);
    assert_fails("--addr", ":8081?proxy=yes", "has an unknown option");
    assert_fails("--addr", ":8081?", "has an unknown option");
    assert_fails("--addr", ":8081?proxy", "has an unknown option");
    assert_fails("--addr", "unix:/x?proxy=", "has an unknown option");
    assert_fails("--addr", "?proxy=on", "has no port");
    assert_fails("--addr", "[::1%a?proxy=on]:80?proxy=on", "has an unknown option");
    load("--addr", "unix:/x?proxy=on?proxy=off", NULL, NULL);
    assert_string_equal(config.listen[0].path, "/x?proxy=on");
    char text[LISTEN_TEXT_BYTES];
    listen_address_format(&config.listen[0], text);
    assert_string_equal(text, "unix:/x?proxy=on?proxy=off");
    config_done(&config);
    assert_fails("--worker-addr", "127.0.0.1:9101?proxy=on", "is not HOST:PORT");
}

static void test_the_clients_address_comes_from_the_header_that_is_named(void **state)
{
    (void)state;
    load("--addr", ":80", NULL, NULL);
    assert_int_equal(config.client_address_header, CONFIG_ADDRESS_LIST);
    config_done(&config);
    load("--client-address-header", "x-real-ip", NULL, NULL);
    assert_int_equal(config.client_address_header, CONFIG_ADDRESS_REAL);
    config_done(&config);
    load("--client-address-header", "forwarded", NULL, NULL);
    assert_int_equal(config.client_address_header, CONFIG_ADDRESS_FORWARDED);
    config_done(&config);
    assert_fails("--client-address-header", "cf-connecting-ip", "is none of");
}

static void test_an_addr_is_a_host_a_port_or_a_path(void **state)
{
    static const char *const good[] = {":1",          ":65535",          "127.0.0.1:80",
                                       "[::1]:80",    "[fe80::1%lo]:80", "[::]:80",
                                       "localhost:8", "my_host.lan:80",  "ip6-localhost:8",
                                       "unix:x",      "0.0.0.0:80",      "7th-floor:80"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_good("--addr", good[i]);
    char path[256] = "unix:";
    memset(path + 5, 'x', 107);
    assert_good("--addr", path);
    path[5 + 107] = 'x';
    assert_fails("--addr", path, "107 bytes at most");
    assert_fails("--addr", "unix:", "has no path");
    assert_fails("--addr", "8080", "has no port");
    assert_fails("--addr", "host", "has no port");
    assert_fails("--addr", "host:", "has no port");
    assert_fails("--addr", "host:http", "a number from 1 to 65535");
    assert_warns("--addr=127.0.0.1:0", NULL, "has port 0");
    assert_fails("--addr", ":65536", "1 to 65535");
    assert_fails("--addr", ":000080", "1 to 65535");
    assert_fails("--addr", "::1", "without a port");
    assert_fails("--addr", "::1:8080", "without"); /* an address of its own */
    assert_fails("--addr", "2001:db8:0:0:0:0:0:1:8080", "without brackets");
    assert_fails("--addr", "[::1]", "is not [V6]:PORT");
    assert_fails("--addr", "[localhost]:80", "no IPv6 address");
    assert_fails("--addr", "256.1.1.1:80", "no IPv4 address");
    assert_fails("--addr", "127.1:80", "no IPv4 address");
    assert_fails("--addr", "http://localhost:80", "is not :PORT");
    assert_fails("--addr", ":80,:80", "is given twice");
    assert_fails("--addr", ":80,:80?proxy=on", "is given twice");
    assert_fails("--addr", "localhost:80,LOCALHOST:80", "is given twice");
}

static void test_numbers_are_digits(void **state)
{
    static const char *const bad[] = {"0x10", "1e3", " 5", "5 ",  "+5",
                                      "-1",   "5s",  "1M", "1.5", "5\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_fails("--ping", bad[i], "is not a number from 1 to 3600 (SECONDS, without a unit)");
        assert_fails("--drain", bad[i], "is not a number");
    }
    static const char *const bad_rates[] = {"0x5:0x14", "5e0",  "nan", "inf", "5:", ":5",
                                            "5:20:1",   "5 20", "-5",  ".5",  "5.", "1e9:1e9"};
    for (size_t i = 0; i < sizeof bad_rates / sizeof *bad_rates; i++)
        assert_fails("--rate", bad_rates[i], "is not N:BURST");
    assert_fails("--rate", "5:0", "would let nobody do anything");
    assert_fails("--rate", "0.5", "would let nobody do anything");
    assert_good("--rate", "0.5:1");
    assert_good("--rate", "0");
    static const char *const bad_modes[] = {"", "66", "0o660", "888", "rw-rw----", "10660", "1660"};
    for (size_t i = 0; i < sizeof bad_modes / sizeof *bad_modes; i++)
        assert_fails("--addr-mode", bad_modes[i], "is not a mode of three octal digits");
    load("--addr-mode", "600", "--addr", "unix:x");
    assert_int_equal(config.addr_mode, 0600);
    config_done(&config);
}

static void test_a_word_can_be_a_label(void **state)
{
    static const char *const bad[] = {"a b", "a\x01", "a\x7f", "\xff", "a\xc3", "a\"b", "a*"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_fails("--gateway-id", bad[i], "must be 1 to 64 characters");
        assert_fails("--redis-prefix", bad[i], "must be 1 to 64 characters");
    }
    assert_good("--gateway-id", "gateway-1.example_\xc3\xa4");
}

static void test_blocks_are_blocks(void **state)
{
    (void)state;
    assert_good("--ops-allow", "10.0.0.5/8,2001:db8::/32,::ffff:10.0.0.0/104,192.0.2.1");
    assert_fails("--ops-allow", "localhost", "is not an address or CIDR block, such as");
    assert_fails("--ops-allow", "10/8", "is not an address");
    assert_fails("--ops-allow", "10.0.0.0/33", "is not an address");
    assert_fails("--ops-allow", "10.0.0.0/", "is not an address");
    assert_fails("--ops-allow", "10.0.0.0/0008", "is not an address");
}

static void test_a_redis_url_that_is_wrong_says_where(void **state)
{
    (void)state;
    assert_fails("--redis", "redis://", "a host is missing");
    assert_fails("--redis", "redis-sentinel://h,,i/x",
                 "a host is missing: write HOST or HOST:PORT");
    assert_fails("--redis", "redis://h:1,i:2", "several hosts are for redis-sentinel://");
    assert_fails("--redis", "redis://h:x", "the port must be a number from 1 to 65535");
    assert_fails("--redis", "redis://h/x", "the number of a database");
    assert_fails("--redis", "redis://h h", "no host name has");
    assert_fails("--redis", "redis://::1", "stands in brackets");
    assert_fails("--redis", "redis://[::1", "stands in brackets");
    assert_fails("--redis", "redis://:50%@h", "write it as %25");
    assert_fails("--redis", "redis://:pa/ss@h", "%2F");
    assert_fails("--redis", "unix:", "the socket's path is missing");
    assert_fails("--redis", "localhost:6379", "must begin with redis://");
    assert_fails("--redis", "redis://alice@h", "names a user and no password");
    assert_good("--redis", "REDIS://h");
    char text[REDIS_URL_TEXT_BYTES];
    struct redis_url url;
    assert_null(redis_url_parse("rediss://us:pw@[::1]:7/3", &url));
    redis_url_format(&url, text);
    assert_string_equal(text, "rediss://[::1]:7/3");
    assert_null(redis_url_parse("unix://us:pw@/x/y", &url));
    redis_url_format(&url, text);
    assert_string_equal(text, "unix:/x/y");
}

/* The whole table, two by two: these contradict each other. */
static void test_settings_that_contradict_each_other_are_told(void **state)
{
    (void)state;
    assert_warns("--retention=10", "--leave-grace=15",
                 "retention (10 s) is shorter than leave-grace (15 s)");
    assert_warns("--retention=10", NULL, "--retention: retention (10 s)");
    assert_warns("--leave-grace=300", NULL, "--leave-grace: retention (120 s)");
    assert_warns("--retention=0", NULL, ""); /* that is a choice: keep nothing */
    assert_warns("--retention=0", "--retention-messages=5", "keeps nothing");
    assert_warns("--logging=false", "--log-file=/x", "--log-file: has no effect");
    assert_warns("--logging=false", "--log-text", "--log-text: has no effect");
    assert_warns("--logging=false", NULL, "");
    assert_warns("--addr-mode=0600", NULL, "no addr is a unix:PATH");
    assert_warns("--addr-mode=0600", "--addr=:1,unix:x", "");
    assert_warns("--trusted-proxy=0.0.0.0/0", NULL, "is everybody");
    assert_warns("--trusted-proxy=::/0", NULL, "is everybody");
    assert_warns("--trusted-proxy=10.0.0.0/8", NULL, "");
    assert_warns("--max-connections=10", "--max-connections-per-address=11", "has no effect");
    assert_warns("--max-connections=10", NULL, "");
    assert_warns("--backlog=32767", NULL, "--backlog: backlog (32767) is smaller than max-message");
    assert_warns("--max-message=2000000", NULL, "--max-message: backlog (1048576) is smaller");
    assert_warns("--backlog=0", "--max-message=2000000", "");
    assert_warns("--backlog=32768", NULL, "");
    assert_fails("--redis-password-file=/dev/null", NULL, "the private Redis has no password");
    assert_fails("--workers=2", "--addr=unix:x", "only one gateway");
    assert_fails("--echo-path=/e", "--addr=my-host:1", "\"my-host:1\" is not");
    assert_good("--echo-path=/e", "--addr=127.0.0.9:1,[::1]:1,LOCALHOST:2,unix:x");
}

/* --- The file of a password --- */

static char path[] = "/tmp/yukizuri-password-XXXXXX";

static void write_bytes(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void assert_password(const char *bytes, const char *expected)
{
    char out[PASSWORD_BYTES];
    char error[300] = "";
    write_bytes(bytes, strlen(bytes));
    if (password_file_read(path, false, out, error, sizeof error) != 0)
        fail_msg("%s", error);
    assert_string_equal(out, expected);
}

static void assert_no_password(const char *bytes, size_t len, const char *part)
{
    char out[PASSWORD_BYTES] = "as it was";
    char error[300] = "";
    write_bytes(bytes, len);
    assert_int_equal(password_file_read(path, false, out, error, sizeof error), -1);
    if (strstr(error, part) == NULL || strncmp(error, path, strlen(path)) != 0)
        fail_msg("\"%s\" does not say \"%s\"", error, part);
    assert_string_equal(out, "as it was");
}

static void test_a_password_is_the_only_line_of_its_file(void **state)
{
    char longest[PASSWORD_BYTES + 400];
    char error[300];
    char out[PASSWORD_BYTES];
    (void)state;
    assert_password("pass word", "pass word");
    assert_password("pw\n", "pw");
    assert_password("pw\r\n", "pw");
    assert_password(" p\tw \n", " p\tw ");
    assert_password("pw\n\n", "pw");
    memset(longest, 'x', sizeof longest);
    longest[255] = '\0';
    assert_password(longest, longest);
    longest[255] = '\n';
    longest[256] = '\0';
    assert_password(longest, (longest[255] = '\0', longest));
    memset(longest, 'x', sizeof longest);
    assert_no_password(longest, 256, "255 bytes at most");
    assert_no_password(longest, 257, "255 bytes at most");
    assert_no_password(longest, 600, "255 bytes at most");
    assert_no_password("", 0, "is empty");
    assert_no_password("\n", 1, "is empty");
    assert_no_password("\r\n", 2, "is empty");
    assert_no_password("one\ntwo\n", 8, "more than one line");
    assert_no_password("\ntwo\n", 5, "is empty");
    assert_no_password("o\0e\n", 4, "NUL byte");
    assert_no_password("\xef\xbb\xbfpw\n", 6, "byte order mark");
    assert_int_equal(password_file_read("/tmp", false, out, error, sizeof error), -1);
    assert_string_equal(error, "cannot read /tmp: Is a directory");
    assert_int_equal(password_file_read("/nonexistent", false, out, error, sizeof error), -1);
    assert_string_equal(error, "cannot read /nonexistent: No such file or directory");
}

/* Whoever reads it again is the event loop, which nothing may hold up. */
static void test_what_is_no_plain_file_is_not_read_again(void **state)
{
    char error[300] = "";
    char out[PASSWORD_BYTES];
    (void)state;
    write_bytes("pw\n", 3);
    assert_int_equal(password_file_read(path, true, out, error, sizeof error), 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(password_file_read(path, true, out, error, sizeof error), -1);
    assert_non_null(strstr(error, "cannot be read a second time"));
    unlink(path);
    write_bytes("", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind_an_addr_may_stand_that_a_proxy_header_comes),
        cmocka_unit_test(test_the_clients_address_comes_from_the_header_that_is_named),
        cmocka_unit_test(test_an_addr_is_a_host_a_port_or_a_path),
        cmocka_unit_test(test_numbers_are_digits),
        cmocka_unit_test(test_a_word_can_be_a_label),
        cmocka_unit_test(test_blocks_are_blocks),
        cmocka_unit_test(test_a_redis_url_that_is_wrong_says_where),
        cmocka_unit_test(test_settings_that_contradict_each_other_are_told),
        cmocka_unit_test(test_a_password_is_the_only_line_of_its_file),
        cmocka_unit_test(test_what_is_no_plain_file_is_not_read_again),
    };
    int fd = mkstemp(path);
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
