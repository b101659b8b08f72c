/* Connections that begin with a PROXY header. The clock is the test's. */
#include "unit.h"

#include "http_stage.h"
#include "telemetry/metrics.h"
#include "telemetry/refusals.h"

#define OPERATOR "192.0.2.7"
#define BALANCER "10.0.0.1"
#define METRICS  "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define CLIENT   "PROXY TCP4 192.0.2.7 10.0.0.2 4711 80\r\n"
#define STRANGER "PROXY TCP4 203.0.113.1 10.0.0.2 4711 80\r\n"
#define LOCAL_V2 "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
#define TCP4_V2  "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x02\x12\x67\0\x50"

enum { HEAD_S = 10 };

static int open_stage(void **state)
{
    (void)state;
    stage_open_with("--ops-allow", OPERATOR ", 127.0.0.1", "--trusted-proxy", "127.0.0.1", NULL);
    return 0;
}

static uint64_t count_refused(void)
{
    return stage_metrics()->refused.counts[REFUSAL_PROXY_HEADER];
}

static int status_after(int visitor)
{
    return stage_status(stage_receive(visitor));
}

/* What a request with such a header from the proxy gets. */
static int ask_behind(const char *proxy, const char *header, const char *request)
{
    int visitor = stage_visit_proxied(proxy);
    char text[600];
    snprintf(text, sizeof text, "%s%s", header, request);
    stage_send(visitor, text);
    return status_after(visitor);
}

static void test_a_header_says_whose_requests_they_are(void **state)
{
    (void)state;
    assert_int_equal(ask_behind(BALANCER, CLIENT, METRICS), 200);
    assert_int_equal(ask_behind(BALANCER, STRANGER, METRICS), 403);
    assert_int_equal(ask_behind("local", CLIENT, METRICS), 200);
    assert_int_equal(ask_behind("local", STRANGER, METRICS), 403);
    assert_int_equal(ask_behind("127.0.0.1", STRANGER, METRICS), 403);
    assert_int_equal(ask_behind(OPERATOR, STRANGER, METRICS), 403);
    int visitor = stage_visit_proxied(BALANCER);
    stage_send(visitor, CLIENT METRICS METRICS);
    assert_string_equal(stage_statuses(stage_receive(visitor)), "200 200");
}

static void test_a_binary_header_does_the_same(void **state)
{
    (void)state;
    int visitor = stage_visit_proxied(BALANCER);
    stage_send_bytes(visitor, TCP4_V2 METRICS, sizeof(TCP4_V2 METRICS) - 1);
    assert_int_equal(status_after(visitor), 200);
    visitor = stage_visit_proxied("127.0.0.1");
    stage_send_bytes(visitor, LOCAL_V2 METRICS, sizeof(LOCAL_V2 METRICS) - 1);
    assert_int_equal(status_after(visitor), 200);
    visitor = stage_visit_proxied(BALANCER);
    stage_send_bytes(visitor, LOCAL_V2 METRICS, sizeof(LOCAL_V2 METRICS) - 1);
    assert_int_equal(status_after(visitor), 403);
}

/* Somebody of whom the proxy says nothing is not this machine, and its headers are its own. */
static void test_whom_a_header_does_not_name_is_not_the_proxy(void **state)
{
    (void)state;
    assert_int_equal(ask_behind("127.0.0.1", "PROXY UNKNOWN\r\n", METRICS), 403);
    assert_int_equal(ask_behind("local", "PROXY UNKNOWN\r\n", METRICS), 403);
    assert_int_equal(
        ask_behind("127.0.0.1", "PROXY UNKNOWN\r\n",
                   "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"),
        403);
    assert_int_equal(
        ask_behind("127.0.0.1", "PROXY UNKNOWN\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        200);
}

static void test_headers_of_whom_it_names_are_read_if_that_one_is_trusted(void **state)
{
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
    (void)state;
    assert_int_equal(ask_behind("127.0.0.1", STRANGER, request), 403);
    assert_int_equal(ask_behind(BALANCER, "PROXY TCP4 127.0.0.1 10.0.0.2 1 80\r\n", request), 200);
}

static void test_header_and_request_may_come_byte_by_byte(void **state)
{
    static const char all[] = CLIENT METRICS;
    (void)state;
    for (size_t cut = 1; cut < sizeof all - 1; cut++) {
        int visitor = stage_visit_proxied(BALANCER);
        stage_send_bytes(visitor, all, cut);
        assert_string_equal(stage_receive_text(visitor), "");
        stage_send_bytes(visitor, all + cut, sizeof all - 1 - cut);
        assert_int_equal(status_after(visitor), 200);
        stage_leave(visitor);
    }
    int visitor = stage_visit_proxied(BALANCER);
    for (size_t i = 0; i < sizeof all - 1; i++)
        stage_send_bytes(visitor, all + i, 1);
    assert_int_equal(status_after(visitor), 200);
}

static void assert_closed(const void *data, size_t len)
{
    uint64_t before = count_refused();
    int visitor = stage_visit_proxied(BALANCER);
    stage_send_bytes(visitor, data, len);
    struct stage_bytes got = stage_receive(visitor);
    assert_int_equal(got.len, 0);
    assert_true(got.ended || got.reset);
    assert_int_equal(count_refused(), before + 1);
    stage_leave(visitor);
}

static void test_who_does_not_begin_with_one_is_closed_at_once_and_counted(void **state)
{
    (void)state;
    assert_closed("G", 1);
    assert_closed(METRICS, strlen(METRICS));
    assert_closed("PROXY TCP9 192.0.2.7 10.0.0.2 1 2\r\n", 35);
    assert_closed("PROXY TCP4 192.0.2.7 10.0.0.2 1 2\n", 34);
    assert_closed("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16);
    assert_closed("\r\n", 3); /* and a NUL */
}

static void test_a_header_comes_in_time_or_the_connection_is_closed(void **state)
{
    (void)state;
    uint64_t before = count_refused();
    int silent = stage_visit_proxied(BALANCER);
    int slow = stage_visit_proxied(BALANCER);
    stage_send(slow, "PROXY TCP4 192");
    stage_pass(HEAD_S - 1);
    assert_false(stage_is_ended(silent));
    stage_pass(3);
    assert_true(stage_is_ended(silent));
    struct stage_bytes got = stage_receive(slow);
    assert_int_equal(got.len, 0);
    assert_true(got.ended || got.reset);
    assert_int_equal(count_refused(), before + 2);
}

static void test_where_no_header_is_wanted_none_is_read(void **state)
{
    (void)state;
    int visitor = stage_visit(BALANCER);
    stage_send(visitor, CLIENT METRICS);
    assert_int_equal(status_after(visitor), 400);
}

static void test_sockets_count_for_whom_the_header_names(void **state)
{
    (void)state;
    stage_open_with("--max-connections-per-address", "1", "--ops-allow", OPERATOR, NULL);
    int waiting = stage_visit_proxied(BALANCER); /* counts for nobody yet */
    int first = stage_visit_proxied(BALANCER);
    stage_send(first, CLIENT "GET /");
    assert_int_equal(ask_behind(BALANCER, STRANGER, METRICS), 403);
    assert_int_equal(ask_behind(BALANCER, CLIENT, METRICS), 429);
    stage_leave(first);
    stage_send(waiting, CLIENT METRICS);
    assert_int_equal(status_after(waiting), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_header_says_whose_requests_they_are),
        TEST(test_a_binary_header_does_the_same),
        TEST(test_whom_a_header_does_not_name_is_not_the_proxy),
        TEST(test_headers_of_whom_it_names_are_read_if_that_one_is_trusted),
        TEST(test_header_and_request_may_come_byte_by_byte),
        TEST(test_who_does_not_begin_with_one_is_closed_at_once_and_counted),
        TEST(test_a_header_comes_in_time_or_the_connection_is_closed),
        TEST(test_where_no_header_is_wanted_none_is_read),
        TEST(test_sockets_count_for_whom_the_header_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
