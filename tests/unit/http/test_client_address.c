/* Whose request it is: the peer's, or, where a proxy is trusted, that of whom it passes it on for.
 * Seen by who may read /metrics. */
#include "unit.h"

#include "http_stage.h"

/* Who may read them here: OPERATOR. */
#define OPERATOR "192.0.2.7"
#define STRANGER "203.0.113.1"
#define PROXY    "10.0.0.1"

static int open_with_proxy(void **state)
{
    (void)state;
    stage_open_with("--trusted-proxy", "10.0.0.0/8", "--ops-allow", "192.0.2.7, 2001:db8::7", NULL);
    return 0;
}

/* Does a request with these headers from this peer count as the operator's? */
static bool is_operator(const char *peer, const char *headers)
{
    char request[1024];
    snprintf(request, sizeof request, "GET /metrics HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
    int status = stage_status(stage_ask(peer, request));
    assert_true(status == 200 || status == 403);
    return status == 200;
}

static void test_without_a_header_it_is_the_peer(void **state)
{
    (void)state;
    assert_true(is_operator(OPERATOR, ""));
    assert_true(is_operator("2001:db8::7", ""));
    assert_true(is_operator("::ffff:192.0.2.7", ""));
    assert_false(is_operator(STRANGER, ""));
    assert_false(is_operator(PROXY, ""));
}

static void test_a_trusted_proxy_says_who_it_is(void **state)
{
    (void)state;
    assert_true(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_true(is_operator(PROXY, "x-forwarded-for:192.0.2.7\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7:4711\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: 2001:db8::7\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: [2001:db8::7]:4711\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 203.0.113.1\r\n"));
    assert_true(is_operator("local", "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator("local", "X-Forwarded-For: 203.0.113.1\r\n"));
}

/* What stands left of the first who is not trusted is what that one says. */
static void test_the_list_is_read_from_the_right_as_far_as_it_is_trusted(void **state)
{
    (void)state;
    assert_true(is_operator(PROXY, "X-Forwarded-For: 203.0.113.1, 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7, 203.0.113.1\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7, 10.1.2.3,10.9.9.9\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7, 203.0.113.1, 10.1.2.3\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: , 192.0.2.7, ,\r\n"));
}

static void test_several_headers_are_one_list(void **state)
{
    (void)state;
    assert_true(is_operator(PROXY, "X-Forwarded-For: 203.0.113.1\r\nA: b\r\n"
                                   "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7\r\nA: b\r\n"
                                    "X-Forwarded-For: 203.0.113.1\r\n"));
}

static void test_what_is_no_address_ends_the_list(void **state)
{
    (void)state;
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7, junk\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7, junk, 10.1.2.3\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: junk, 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: \r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: unknown\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7x\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: unknown, 10.1.2.3\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: unknown, 192.0.2.7, 10.1.2.3\r\n"));
}

static void test_x_real_ip_counts_when_there_is_one_and_no_list(void **state)
{
    (void)state;
    assert_true(is_operator(PROXY, "X-Real-IP: 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: 203.0.113.1\r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: junk\r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: \r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 203.0.113.1\r\n"));
    assert_true(is_operator(PROXY, "X-Real-IP: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.7\r\n"));
}

/* A proxy that does not write it would hand on what a client has put there. */
static void test_forwarded_is_not_read_unless_it_is_chosen_and_is_no_operators(void **state)
{
    (void)state;
    assert_false(is_operator(PROXY, "Forwarded: for=192.0.2.7\r\n"));
    assert_false(is_operator(OPERATOR, "Forwarded: for=192.0.2.7\r\n"));
    assert_false(is_operator("local", "Forwarded: for=192.0.2.7\r\n"));
}

static void open_choosing(const char *header)
{
    stage_open_with("--trusted-proxy", "10.0.0.0/8", "--ops-allow",
                    "192.0.2.7, 2001:db8::7, 10.0.0.1", "--client-address-header", header, NULL);
}

static void test_forwarded_is_read_where_it_is_chosen_and_no_other(void **state)
{
    (void)state;
    open_choosing("forwarded");
    assert_true(is_operator(PROXY, ""));
    assert_true(is_operator(PROXY, "Forwarded: for=192.0.2.7\r\n"));
    assert_true(is_operator(PROXY, "Forwarded: for=\"[2001:db8::7]:80\";proto=http\r\n"));
    assert_true(is_operator(PROXY, "Forwarded: for=203.0.113.1\r\nForwarded: for=192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "Forwarded: for=192.0.2.7\r\nForwarded: for=203.0.113.1\r\n"));
    assert_true(is_operator(PROXY, "Forwarded: for=\"\r\nForwarded: for=192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "Forwarded: for=unknown\r\n"));
    assert_false(is_operator(PROXY, "Forwarded: for=unknown, for=10.0.0.1\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: 192.0.2.7\r\n"));
    assert_true(is_operator(PROXY, "X-Forwarded-For: 203.0.113.1\r\nForwarded: for=192.0.2.7\r\n"
                                   "X-Real-IP: 203.0.113.1\r\n"));
    assert_false(is_operator(OPERATOR, "Forwarded: for=192.0.2.7\r\n"));
}

static void test_x_real_ip_is_read_where_it_is_chosen_and_no_other(void **state)
{
    (void)state;
    open_choosing("x-real-ip");
    assert_true(is_operator(PROXY, "X-Real-IP: 192.0.2.7\r\n"));
    assert_true(is_operator(PROXY, "X-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 203.0.113.1\r\n"));
    assert_false(is_operator(PROXY, "X-Real-IP: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator(PROXY, "Forwarded: for=192.0.2.7\r\n"));
    assert_false(is_operator(STRANGER, "X-Real-IP: 192.0.2.7\r\n"));
}

/* Neither for it nor against it: whose it is nobody can say. */
static void test_a_peer_that_is_not_trusted_cannot_say_who_it_is(void **state)
{
    (void)state;
    assert_false(is_operator(STRANGER, "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator(STRANGER, "X-Real-IP: 192.0.2.7\r\n"));
    assert_false(is_operator(OPERATOR, "X-Forwarded-For: 203.0.113.1\r\n"));
    assert_false(is_operator(OPERATOR, "X-Forwarded-For: 192.0.2.7\r\n"));
    assert_false(is_operator(OPERATOR, "X-Real-IP: \r\n"));
}

static void test_the_log_says_once_that_such_a_header_was_ignored(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        is_operator(STRANGER, "X-Forwarded-For: 192.0.2.7\r\n");
    const char *log = stage_close_for_log();
    const char *line = strstr(log, "forwarded-ignored");
    assert_non_null(line);
    assert_non_null(strstr(log, STRANGER));
    assert_null(strstr(line + 1, "forwarded-ignored"));
}

/* --- This machine --- */

static void test_by_itself_only_this_machine_is_the_operator(void **state)
{
    (void)state;
    stage_open();
    assert_true(is_operator("127.0.0.1", ""));
    assert_true(is_operator("::1", ""));
    assert_true(is_operator("local", ""));
    assert_false(is_operator(STRANGER, ""));
    assert_false(is_operator("10.0.0.1", ""));
}

static void test_what_a_proxy_of_this_machine_passes_on_is_not_this_machines(void **state)
{
    static const char *const headers[] = {
        "X-Forwarded-For: 203.0.113.1\r\n",     "X-Forwarded-For: \r\n",
        "X-Forwarded-For: unix:\r\n",           "X-Forwarded-For: local\r\n",
        "X-Forwarded-For: 127.0.0.1, junk\r\n", "X-Real-IP: junk\r\n",
        "Forwarded: for=127.0.0.1\r\n",
    };
    static const char *const peers[] = {"127.0.0.1", "::1", "local"};
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        if (trusted == 1)
            stage_open_with("--trusted-proxy", "127.0.0.0/8, ::1", NULL);
        else
            stage_open();
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
            for (size_t j = 0; j < sizeof peers / sizeof *peers; j++)
                assert_false(is_operator(peers[j], headers[i]));
    }
    assert_true(is_operator("127.0.0.1", "X-Forwarded-For: 127.0.0.1\r\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_proxy, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_header_it_is_the_peer),
        TEST(test_a_trusted_proxy_says_who_it_is),
        TEST(test_the_list_is_read_from_the_right_as_far_as_it_is_trusted),
        TEST(test_several_headers_are_one_list),
        TEST(test_what_is_no_address_ends_the_list),
        TEST(test_x_real_ip_counts_when_there_is_one_and_no_list),
        TEST(test_forwarded_is_not_read_unless_it_is_chosen_and_is_no_operators),
        TEST(test_forwarded_is_read_where_it_is_chosen_and_no_other),
        TEST(test_x_real_ip_is_read_where_it_is_chosen_and_no_other),
        TEST(test_a_peer_that_is_not_trusted_cannot_say_who_it_is),
        TEST(test_the_log_says_once_that_such_a_header_was_ignored),
        TEST(test_by_itself_only_this_machine_is_the_operator),
        TEST(test_what_a_proxy_of_this_machine_passes_on_is_not_this_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
