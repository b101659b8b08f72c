/* HTTP and those who take their time, who are too many, or who are to go elsewhere. The clock is
 * the test's: seconds pass at once. */
#include "unit.h"

#include "http_stage.h"
#include "telemetry/metrics.h"
#include "telemetry/refusals.h"

#include <sys/socket.h>

#define HEALTHZ "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define READYZ  "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
#define UPGRADE                                                                                    \
    "GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"               \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define VISITOR "203.0.113.1"

enum { HEAD_S = 10, ANSWER_S = 60 };

static struct stage_bytes ask_on(int visitor, const char *request)
{
    stage_send(visitor, request);
    return stage_receive(visitor);
}

static int status_on(int visitor, const char *request)
{
    return stage_status(ask_on(visitor, request));
}

/* --- Time --- */

static void test_who_does_not_end_a_request_in_time_gets_408(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, "GET /healthz HTTP/1.1\r\nHo");
    stage_pass(HEAD_S - 1);
    assert_string_equal(stage_receive_text(visitor), "");
    stage_pass(2);
    struct stage_bytes answer = stage_receive(visitor);
    assert_string_equal(stage_statuses(answer), "408");
    assert_true(answer.ended);
}

/* Many who are late together take more than one iteration of the loop; members do not wait. */
static void test_all_who_are_late_together_get_408(void **state)
{
    int visitors[50];
    (void)state;
    for (size_t i = 0; i < sizeof visitors / sizeof *visitors; i++) {
        visitors[i] = stage_visit(VISITOR);
        stage_send(visitors[i], "GET /healthz HTTP/1.1\r\nHo");
    }
    stage_pass(HEAD_S + 1);
    for (size_t i = 0; i < sizeof visitors / sizeof *visitors; i++) {
        struct stage_bytes answer = stage_receive(visitors[i]);
        assert_string_equal(stage_statuses(answer), "408");
        assert_true(answer.ended);
    }
}

static void test_a_byte_now_and_then_gives_no_more_time(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    for (int i = 0; i < HEAD_S + 1; i++) {
        stage_send_bytes(visitor, HEALTHZ + i, 1);
        stage_pass(1);
    }
    assert_string_equal(stage_statuses(stage_receive(visitor)), "408");
}

static void test_who_comes_and_sends_nothing_is_dropped_without_an_answer(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_pass(HEAD_S - 1);
    assert_false(stage_is_ended(visitor));
    stage_pass(2);
    struct stage_bytes answer = stage_receive(visitor);
    assert_int_equal(answer.len, 0);
    assert_true(answer.ended);
}

/* A balancer that keeps it for just as long shall never find it closed. */
static void
test_an_idle_connection_is_kept_for_keep_alive_seconds_after_its_last_request(void **state)
{
    (void)state;
    stage_open_with("--keep-alive", "20", NULL);
    int visitor = stage_visit(VISITOR);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(status_on(visitor, HEALTHZ), 200);
        stage_pass(20);
    }
    assert_false(stage_is_ended(visitor));
    stage_pass(2);
    assert_true(stage_is_ended(visitor));
}

static void test_with_a_keep_alive_of_0_an_idle_connection_is_never_dropped(void **state)
{
    (void)state;
    stage_open_with("--keep-alive", "0", NULL);
    int visitor = stage_visit(VISITOR);
    assert_int_equal(status_on(visitor, HEALTHZ), 200);
    stage_pass(500);
    assert_int_equal(status_on(visitor, HEALTHZ), 200);
}

static unsigned find_idle_s(void)
{
    unsigned seconds = 0;
    int visitor = stage_visit(VISITOR);
    ask_on(visitor, HEALTHZ);
    for (; !stage_is_ended(visitor); seconds++)
        stage_pass(1);
    return seconds;
}

/* The gateway may be behind: it has come in time. */
static void test_a_request_that_nobody_has_read_yet_when_its_time_is_over_is_answered(void **state)
{
    (void)state;
    stage_open_with("--keep-alive", "5", NULL);
    unsigned idle_s = find_idle_s();
    int visitor = stage_visit(VISITOR);
    ask_on(visitor, HEALTHZ);
    stage_pass(idle_s - 1);
    send(visitor, HEALTHZ, strlen(HEALTHZ), MSG_NOSIGNAL); /* and the loop does not run */
    stage_pass(1);
    assert_string_equal(stage_statuses(stage_receive(visitor)), "200");
}

static void test_who_does_not_read_its_answer_is_dropped(void **state)
{
    (void)state;
    int visitor = stage_visit_narrow(VISITOR);
    for (int i = 0; i < 20; i++)
        stage_send(visitor, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_pass(ANSWER_S - 1);
    assert_true(stage_send(visitor, HEALTHZ));
    stage_pass(2);
    assert_false(stage_send(visitor, HEALTHZ));
    assert_int_equal(stage_metrics()->refused.counts[REFUSAL_ANSWER_TIME], 1);
}

/* --- Too many --- */

static void test_an_address_has_so_many_connections_and_the_next_gets_429(void **state)
{
    int visitors[4];
    (void)state;
    stage_open_with("--max-connections-per-address", "4", NULL);
    for (int i = 0; i < 4; i++)
        visitors[i] = stage_visit(VISITOR);
    struct stage_bytes answer = stage_receive(stage_visit(VISITOR));
    assert_string_equal(stage_statuses(answer), "429");
    assert_non_null(stage_header(answer, "Retry-After"));
    assert_true(answer.ended);
    assert_int_equal(stage_status(stage_ask("203.0.113.2", HEALTHZ)), 200);
    for (int i = 0; i < 4; i++)
        assert_int_equal(status_on(visitors[i], HEALTHZ), 200);
    assert_non_null(strstr(stage_close_for_log(), VISITOR));
}

static void test_who_leaves_makes_room_for_the_next_of_its_address(void **state)
{
    (void)state;
    stage_open_with("--max-connections-per-address", "1", NULL);
    for (int i = 0; i < 3; i++) {
        int visitor = stage_visit(VISITOR);
        assert_int_equal(stage_status(stage_receive(stage_visit(VISITOR))), 429);
        assert_int_equal(status_on(visitor, HEALTHZ), 200);
        stage_leave(visitor);
    }
}

static void test_the_addresses_of_one_ipv6_network_count_as_one(void **state)
{
    (void)state;
    stage_open_with("--max-connections-per-address", "1", NULL);
    stage_visit("2001:db8::1");
    assert_int_equal(stage_status(stage_receive(stage_visit("2001:db8::2"))), 429);
    assert_int_equal(stage_status(stage_ask("2001:db8:0:1::1", HEALTHZ)), 200);
}

static void test_this_machine_and_trusted_proxies_have_any_number_of_connections(void **state)
{
    static const char *const peers[] = {"127.0.0.1", "::1", "local", "10.0.0.1"};
    (void)state;
    stage_open_with("--max-connections-per-address", "1", "--trusted-proxy", "10.0.0.0/8", NULL);
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
        stage_visit(peers[i]);
        assert_int_equal(stage_status(stage_ask(peers[i], HEALTHZ)), 200);
    }
}

static void test_when_an_address_has_more_than_half_of_its_connections_none_stays_idle(void **state)
{
    (void)state;
    stage_open_with("--max-connections-per-address", "4", NULL);
    int first = stage_visit(VISITOR);
    stage_visit(VISITOR);
    assert_string_equal(stage_header(ask_on(first, HEALTHZ), "Connection"), "keep-alive");
    stage_visit(VISITOR);
    assert_string_equal(stage_header(ask_on(first, HEALTHZ), "Connection"), "close");
    assert_string_equal(stage_header(stage_ask("203.0.113.2", HEALTHZ), "Connection"),
                        "keep-alive");
}

static void
test_when_all_sockets_are_taken_the_longest_idle_one_makes_room_for_a_newcomer(void **state)
{
    (void)state;
    stage_open_with_sockets(3);
    int asking = stage_visit(VISITOR);
    int first = stage_visit(VISITOR);
    int second = stage_visit(VISITOR);
    ask_on(first, HEALTHZ);
    ask_on(second, HEALTHZ);
    int newcomer = stage_visit(VISITOR);
    assert_true(stage_is_ended(first));
    assert_int_equal(status_on(newcomer, HEALTHZ), 200);
    assert_int_equal(status_on(second, HEALTHZ), 200);
    assert_int_equal(status_on(asking, HEALTHZ), 200);
}

static void test_when_all_sockets_are_taken_and_nobody_is_idle_a_newcomer_gets_503(void **state)
{
    (void)state;
    stage_open_with_sockets(2);
    int asking = stage_visit(VISITOR);
    int upgraded = stage_visit(VISITOR);
    assert_int_equal(status_on(upgraded, UPGRADE), 101);
    struct stage_bytes answer = stage_receive(stage_visit(VISITOR));
    assert_string_equal(stage_statuses(answer), "503");
    assert_non_null(stage_header(answer, "Retry-After"));
    assert_true(answer.ended);
    assert_int_equal(status_on(asking, HEALTHZ), 200);
    assert_false(stage_is_ended(upgraded));
}

/* --- Going away --- */

static void test_a_gateway_that_will_go_away_says_so_and_serves_everybody_on(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_announce_drain();
    struct stage_bytes answer = ask_on(visitor, READYZ);
    assert_string_equal(stage_statuses(answer), "503");
    assert_non_null(strstr(stage_body(answer).data, "draining"));
    assert_string_equal(stage_header(ask_on(visitor, HEALTHZ), "Connection"), "keep-alive");
    assert_int_equal(status_on(visitor, UPGRADE), 101);
}

static void test_a_gateway_that_goes_away_ends_each_connection_with_its_answer(void **state)
{
    (void)state;
    int idle = stage_visit(VISITOR);
    ask_on(idle, HEALTHZ);
    stage_drain();
    assert_false(stage_is_ended(idle));
    struct stage_bytes answer = ask_on(idle, HEALTHZ HEALTHZ);
    assert_string_equal(stage_statuses(answer), "200");
    assert_string_equal(stage_header(answer, "Connection"), "close");
    assert_true(answer.ended);
}

/* Who has just come found no other gateway to go to. */
static void test_a_gateway_that_goes_away_upgrades_only_who_has_just_come(void **state)
{
    (void)state;
    int idle = stage_visit(VISITOR);
    int newcomer = stage_visit(VISITOR);
    ask_on(idle, HEALTHZ);
    stage_drain();
    assert_int_equal(status_on(newcomer, UPGRADE), 101);
    struct stage_bytes answer = ask_on(idle, UPGRADE);
    assert_string_equal(stage_statuses(answer), "503");
    assert_non_null(stage_header(answer, "Retry-After"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_does_not_end_a_request_in_time_gets_408),
        TEST(test_all_who_are_late_together_get_408),
        TEST(test_a_byte_now_and_then_gives_no_more_time),
        TEST(test_who_comes_and_sends_nothing_is_dropped_without_an_answer),
        TEST(test_an_idle_connection_is_kept_for_keep_alive_seconds_after_its_last_request),
        TEST(test_with_a_keep_alive_of_0_an_idle_connection_is_never_dropped),
        TEST(test_a_request_that_nobody_has_read_yet_when_its_time_is_over_is_answered),
        TEST(test_who_does_not_read_its_answer_is_dropped),
        TEST(test_an_address_has_so_many_connections_and_the_next_gets_429),
        TEST(test_who_leaves_makes_room_for_the_next_of_its_address),
        TEST(test_the_addresses_of_one_ipv6_network_count_as_one),
        TEST(test_this_machine_and_trusted_proxies_have_any_number_of_connections),
        TEST(test_when_an_address_has_more_than_half_of_its_connections_none_stays_idle),
        TEST(test_when_all_sockets_are_taken_the_longest_idle_one_makes_room_for_a_newcomer),
        TEST(test_when_all_sockets_are_taken_and_nobody_is_idle_a_newcomer_gets_503),
        TEST(test_a_gateway_that_will_go_away_says_so_and_serves_everybody_on),
        TEST(test_a_gateway_that_goes_away_ends_each_connection_with_its_answer),
        TEST(test_a_gateway_that_goes_away_upgrades_only_who_has_just_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
