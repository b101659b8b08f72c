#include "unit.h"

#include "config/config.h"

#include <unistd.h>

static struct config config;
static struct config_result result;

static void load(char *const *environment, const char *first, const char *second, const char *third)
{
    char *argv[] = {(char[]){"yukizuri"}, (char *)(uintptr_t)first, (char *)(uintptr_t)second,
                    (char *)(uintptr_t)third, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    result = config_load(&config, argc, argv, environment);
}

static char *no_environment[] = {NULL};

static void assert_fails(const char *first, const char *second, const char *part)
{
    load(no_environment, first, second, NULL);
    assert_int_equal(result.action, CONFIG_FAILED);
    if (strstr(result.error, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", result.error, part);
    assert_null(strchr(result.error, '\n'));
    config_done(&config);
}

static void test_defaults(void **state)
{
    (void)state;
    load(no_environment, NULL, NULL, NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_string_equal(config.addr.items[0], ":8080");
    assert_string_equal(config.room, "lobby");
    assert_int_equal(config.retention, 120);
    assert_int_equal(config.ops_allow_blocks.count, 2);
    assert_true(config.rate.per_second == 5 && config.rate.burst == 20);
    assert_int_equal(config.redis_url.scheme, REDIS_EMBEDDED);
    assert_true(config.logging);
    assert_non_null(config.gateway_id);
    config_done(&config);
}

/* Two containers with one host name, and process 1 in each. */
static void test_default_ids_of_one_host_and_process_differ(void **state)
{
    char first[128];
    (void)state;
    load(no_environment, NULL, NULL, NULL);
    snprintf(first, sizeof first, "%s", config.gateway_id);
    assert_true(strlen(first) <= 60); /* a worker's number fits behind it */
    config_done(&config);
    load(no_environment, NULL, NULL, NULL);
    assert_string_not_equal(first, config.gateway_id);
    config_done(&config);
}

static void test_an_origin_that_can_match_nothing_is_refused(void **state)
{
    (void)state;
    assert_fails("--origin", "chat.example.com", "origin: ");
    assert_fails("--origin", "https://chat.example.com,https://h/", "write https://h");
    assert_fails("--origin", "https://chat.example.com:443", "write https://chat.example.com");
    load(no_environment, "--origin", "https://chat.example.com, http://localhost:8080", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_int_equal(config.origin.count, 2);
    config_done(&config);
}

static void test_waits_that_are_settings(void **state)
{
    (void)state;
    load(no_environment, NULL, NULL, NULL);
    assert_int_equal(config.keep_alive, 75);
    assert_int_equal(config.drain_delay, 1);
    config_done(&config);
    load(no_environment, "--keep-alive=0", "--drain-delay=0", NULL);
    assert_int_equal(config.keep_alive, 0);
    assert_int_equal(config.drain_delay, 0);
    config_done(&config);
    assert_fails("--keep-alive", "3601", "keep-alive");
    assert_fails("--drain-delay", "-1", "drain-delay");
}

/* The original service's supervisor file starts the binary with one dash. */
static void test_spellings_of_the_original(void **state)
{
    (void)state;
    load(no_environment, "-addr=:9090", "-logging=false", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_string_equal(config.addr.items[0], ":9090");
    assert_int_equal(config.addr.count, 1);
    assert_false(config.logging);
    config_done(&config);
}

static void test_precedence(void **state)
{
    char path[] = "/tmp/yukizuri-config-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] =
        "# a comment\nmax-text = 1\n\n  ping=11 \nrate = 1:2\naddr = :1\naddr = :2\n";
    char config_variable[64];
    (void)state;
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    snprintf(config_variable, sizeof config_variable, "YUKIZURI_CONFIG=%s", path);
    char *environment[] = {config_variable, (char[]){"YUKIZURI_MAX_TEXT=2"},
                           (char[]){"YUKIZURI_RATE=3:4"}, (char[]){"HOME=/"}, NULL};
    load(environment, "--max-text", "3", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_int_equal(config.max_text, 3);
    assert_int_equal(config.ping, 11);
    assert_true(config.rate.per_second == 3 && config.rate.burst == 4);
    assert_int_equal(config.addr.count, 2);
    config_done(&config);
    load(environment, "--addr=:5", NULL, NULL);
    assert_int_equal(config.addr.count, 1);
    config_done(&config);
    unlink(path);
}

static void test_a_message_holds_the_longest_text(void **state)
{
    (void)state;
    assert_fails("--max-text=5000", NULL,
                 "max-message: 32768 bytes do not hold a text of max-text = 5000");
    assert_fails("--max-text=5000", NULL, "set max-message to 60512 or more");
    assert_fails("--max-text=5000", NULL, "or max-text to 2688 or less");
    assert_fails("--max-message=24511", NULL, "set max-message to 24512 or more");
    assert_fails("--max-text=1", "--max-message=512", "set max-message to 524 or more");
    load(no_environment, "--max-text=1", "--max-message=524", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    config_done(&config);
    load(no_environment, "--max-text=0", "--max-message=512", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    config_done(&config);
    load(no_environment, "--max-text=1000000", "--max-message=12000512", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    config_done(&config);
}

static void test_mistakes_are_told(void **state)
{
    (void)state;
    assert_fails("--nonsense", "1", "unknown setting --nonsense");
    assert_fails("stray", NULL, "unexpected argument");
    assert_fails("--max-text", NULL, "needs a value");
    assert_fails("--max-text", "many", "not a number");
    assert_fails("--max-text", "-1", "not a number");
    assert_fails("--max-text", "99999999999999999999999", "not a number");
    assert_fails("--lease", "0", "from 1 to");
    assert_fails("--logging=maybe", NULL, "neither true nor false");
    assert_fails("--show-address", "half", "none of full|masked|cloak|off");
    assert_fails("--rate", "5:0", "N:BURST");
    assert_fails("--rate", "x", "N:BURST");
    assert_fails("--trusted-proxy", "10.0.0.0/40", "trusted-proxy");
    assert_fails("--addr", "nowhere", "addr:");
    assert_fails("--addr", ":99999", "addr:");
    assert_fails("--addr", "", "at least one address");
    assert_fails("--worker-addr", "unix:/tmp/x", "is not HOST:PORT");
    assert_fails("--worker-addr", "127.0.0.1:0", "is not HOST:PORT");
    assert_fails("--worker-addr", "nowhere", "worker-addr:");
    assert_fails("--redis", "http://x", "redis:");
    assert_fails("--redis", "redis-cluster://x/1", "database 0 alone");
    assert_fails("--redis", "redis-sentinel://x", "name of the master is missing");
    assert_fails("--redis-password-file=/nonexistent", "--redis=redis://h", "cannot read");
    assert_fails("--config", "/nonexistent", "cannot read");
    assert_fails("--room", "a b", "room:");
    assert_fails("--gateway-id", "a b", "gateway-id:");
    assert_fails("--redis-prefix", "chat@1",
                 "redis-prefix: \"chat@1\" has \"@\" and a number"); /* database 1's */
    assert_fails("--redis-prefix", "chat@15:rooms", "another database");
    assert_fails("--gateway-id", "a:rooms", "colon"); /* the key of a's rooms would be its lease */
    assert_fails("--echo-path", "/echo", "loopback");
    assert_fails("--help=klingon", NULL, "help:");
    char *environment[] = {(char[]){"YUKIZURI_NONSENSE=1"}, NULL};
    load(environment, NULL, NULL, NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_non_null(strstr(result.warnings[0], "YUKIZURI_NONSENSE"));
    config_done(&config);
    char *wrong[] = {(char[]){"YUKIZURI_MAX_TEXT=x"}, NULL};
    load(wrong, NULL, NULL, NULL);
    assert_int_equal(result.action, CONFIG_FAILED);
    config_done(&config);
}

static void test_actions(void **state)
{
    (void)state;
    load(no_environment, "--version", NULL, NULL);
    assert_int_equal(result.action, CONFIG_VERSION);
    config_done(&config);
    load(no_environment, "--check-config", "--ping", "9");
    assert_int_equal(result.action, CONFIG_CHECK);
    config_done(&config);
    load(no_environment, "--help=man", NULL, NULL);
    assert_int_equal(result.action, CONFIG_HELP);
    assert_string_equal(result.format, "man");
    config_done(&config);
}

static void test_echo_path_on_loopback(void **state)
{
    (void)state;
    load(no_environment, "--addr=127.0.0.1:1,[::1]:2,unix:/tmp/x,localhost:3", "--echo-path=/echo",
         NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    config_done(&config);
}

static void assert_url(const char *text, const char *host, int port, int database)
{
    struct redis_url url;
    assert_null(redis_url_parse(text, &url));
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_int_equal(url.database, database);
}

static void test_a_prefix_is_not_that_of_another_database(void **state)
{
    static const char *const good[] = {"chat", "a@b", "a@", "@", "1", "chat@1a", "a@b@c", "a:b"};
    static const char *const bad[] = {"chat@1", "chat@0", "@7", "a@b@12", "a@1:b", "a@b:@2:c"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_null(redis_url_judge_prefix(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(redis_url_judge_prefix(bad[i]));
}

static void test_redis_urls(void **state)
{
    struct redis_url url;
    (void)state;
    assert_url("redis://h", "h", 6379, 0);
    assert_url("redis://h:1/2", "h", 1, 2);
    assert_url("rediss://[::1]:7/", "::1", 7, 0);
    assert_url("redis://[fe80::1%25eth0]:7", "fe80::1%eth0", 7, 0);
    assert_url("redis://[fe80::1%eth0]", "fe80::1%eth0", 6379, 0);
    assert_null(redis_url_parse("redis://us%40er:p%3Aw@h", &url));
    assert_string_equal(url.user, "us@er");
    assert_string_equal(url.password, "p:w");
    assert_null(redis_url_parse("redis://:pw@h:1", &url));
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "pw");
    assert_null(redis_url_parse("unix://us%2Fer:p%3Aw@/x/y.sock", &url));
    assert_string_equal(url.user, "us/er");
    assert_string_equal(url.password, "p:w");
    assert_string_equal(url.path, "/x/y.sock");
    assert_null(redis_url_parse("unix:///x/y@z/y.sock", &url));
    assert_string_equal(url.user, "");
    assert_string_equal(url.path, "///x/y@z/y.sock");
    assert_null(redis_url_parse("unix:/x/y.sock", &url));
    assert_string_equal(url.path, "/x/y.sock");
    static const char *const bad[] = {"",
                                      "redis://",
                                      "redis://:6379",
                                      "redis://h:0",
                                      "redis://h:x",
                                      "redis://h/x",
                                      "redis://[::1",
                                      "unix:",
                                      "unix://user@",
                                      "unix://us%ZZer@/x",
                                      "redis://a%zz@h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(redis_url_parse(bad[i], &url));
}

static void assert_shown(const char *text, const char *shown)
{
    struct redis_url url;
    char out[REDIS_URL_TEXT_BYTES];
    assert_null(redis_url_parse(text, &url));
    redis_url_format(&url, out);
    assert_string_equal(out, shown);
}

static void test_urls_of_sentinels_and_clusters(void **state)
{
    struct redis_url url;
    (void)state;
    assert_null(redis_url_parse("redis-sentinel://u:p@a:1,[::1],c/my.master-1/3", &url));
    assert_int_equal(url.scheme, REDIS_SENTINEL);
    assert_int_equal(url.host_count, 3);
    assert_string_equal(url.hosts[0].name, "a");
    assert_int_equal(url.hosts[0].port, 1);
    assert_string_equal(url.hosts[1].name, "::1");
    assert_int_equal(url.hosts[2].port, 26379);
    assert_string_equal(url.service, "my.master-1");
    assert_int_equal(url.database, 3);
    struct redis_url server = redis_url_of_server(&url, "b", 7);
    assert_int_equal(server.scheme, REDIS_TCP);
    assert_string_equal(server.host, "b");
    assert_int_equal(server.port, 7);
    assert_string_equal(server.password, "p");
    assert_int_equal(server.database, 3);
    assert_null(redis_url_parse("rediss-cluster://a,b:7000", &url));
    assert_int_equal(url.scheme, REDIS_CLUSTER);
    assert_true(url.tls);
    assert_int_equal(url.hosts[0].port, 6379);
    assert_int_equal(url.hosts[1].port, 7000);
    assert_shown("redis-sentinel://u:p@a:1,b/m/3", "redis-sentinel://a:1,…/m/3");
    assert_shown("redis-cluster://u:p@[::1]", "redis-cluster://[::1]:6379");
    assert_shown("rediss://u:p@h/2", "rediss://h:6379/2");
    static const char *const bad[] = {
        "redis-sentinel://a",    "redis-sentinel://a/",
        "redis-sentinel:///m",   "redis-sentinel://,/m",
        "redis-sentinel://a,/m", "redis-sentinel://a/m m",
        "redis-cluster://a/1",   "redis-sentinel://a/m/x",
        "redis-cluster://",      "redis://a,b",
        "redis-cluster://a:0,b", "redis-cluster://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(redis_url_parse(bad[i], &url));
}

static void test_the_ports_of_all_workers_have_to_be_ports(void **state)
{
    (void)state;
    load(no_environment, "--worker-addr=127.0.0.1:65534", "--workers=2", NULL);
    assert_int_equal(result.action, CONFIG_RUN);
    assert_int_equal(config.worker_listen.port, 65534);
    config_done(&config);
    load(no_environment, "--worker-addr=127.0.0.1:65534", "--workers=3", NULL);
    assert_int_equal(result.action, CONFIG_FAILED);
    assert_non_null(strstr(result.error, "the ports from 65534 on do not suffice for 3 workers"));
    config_done(&config);
    load(no_environment, "--worker-addr=127.0.0.1:65534", "--workers=auto", NULL);
    assert_int_equal(result.action, CONFIG_FAILED);
    config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_an_origin_that_can_match_nothing_is_refused),
        cmocka_unit_test(test_waits_that_are_settings),
        cmocka_unit_test(test_spellings_of_the_original),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_a_prefix_is_not_that_of_another_database),
        cmocka_unit_test(test_mistakes_are_told),
        cmocka_unit_test(test_a_message_holds_the_longest_text),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_echo_path_on_loopback),
        cmocka_unit_test(test_redis_urls),
        cmocka_unit_test(test_urls_of_sentinels_and_clusters),
        cmocka_unit_test(test_default_ids_of_one_host_and_process_differ),
        cmocka_unit_test(test_the_ports_of_all_workers_have_to_be_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
