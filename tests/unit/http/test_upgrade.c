/* From HTTP to WebSocket: which handshakes are good, whose page may connect, how many may, and that
 * not a byte is lost on the way. */
#include "unit.h"

#include "http_stage.h"

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" /* RFC 6455 section 1.3 */
#define GOOD    UPGRADE VERSION KEY
#define VISITOR "203.0.113.1"

static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                               "\r\n";

/* Masked with zeros: FIN, text or ping; the mask bit and a length; the mask; the payload. */
#define PING_JSON  "\x81\x8f\0\0\0\0{\"type\":\"ping\"}"
#define PONG_JSON  "\x81\x0f{\"type\":\"pong\"}"
#define PING       "\x89\x82\0\0\0\0hi"
#define PONG       "\x8a\x02hi"
#define HELLO      "\x81\x85\0\0\0\0hello"
#define HELLO_BACK "\x81\x05hello"

static const char *request_of(const char *line, const char *headers)
{
    static char request[4096];
    snprintf(request, sizeof request, "%s\r\n%s\r\n", line, headers);
    return request;
}

/* How an upgrade of the room ends for somebody from this address. */
static int upgrade_from(const char *address, const char *headers)
{
    char all[2048];
    snprintf(all, sizeof all, "Host: x\r\n" GOOD "%s", headers);
    return stage_status(stage_ask(address, request_of("GET /room HTTP/1.1", all)));
}

/* The same of a visitor who stays. */
static int visit_room(const char *address, const char *headers, int *status)
{
    char all[2048];
    snprintf(all, sizeof all, "Host: x\r\n" GOOD "%s", headers);
    int visitor = stage_visit(address);
    stage_send(visitor, request_of("GET /room HTTP/1.1", all));
    *status = stage_status(stage_receive(visitor));
    return visitor;
}

/* --- The handshake --- */

static void test_a_good_handshake_is_answered_with_the_accept_key_of_the_rfc(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, request_of("GET /room HTTP/1.1", "Host: x\r\n" GOOD));
    assert_string_equal(stage_receive_text(visitor), accepted);
    assert_false(stage_is_ended(visitor));
}

static void test_a_handshake_is_refused_by_what_is_wrong_with_it(void **state)
{
    static const struct {
        const char *line, *headers;
        int status;
    } cases[] = {
        {"GET /room HTTP/1.1", VERSION KEY, 426},
        {"GET /room HTTP/1.1", "Upgrade: h2c\r\nConnection: Upgrade\r\n" VERSION KEY, 426},
        {"GET /room HTTP/1.1", UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY, 426},
        {"GET /room HTTP/1.0", GOOD, 426},
        {"HEAD /room HTTP/1.1", GOOD, 426},
        {"GET /room HTTP/1.1", "Upgrade: websocket\r\nConnection: close\r\n" VERSION KEY, 400},
        {"GET /room HTTP/1.1", UPGRADE KEY, 400},
        {"GET /room HTTP/1.1", UPGRADE VERSION VERSION KEY, 400},
        {"GET /room HTTP/1.1", UPGRADE VERSION, 400},
        {"GET /room HTTP/1.1", GOOD "Sec-WebSocket-Extensions: foo;\r\n", 400},
        {"GET /room HTTP/1.1", UPGRADE VERSION KEY KEY, 400},
        {"GET /room HTTP/1.1", UPGRADE VERSION "Sec-WebSocket-Key: short\r\n", 400},
        {"POST /room HTTP/1.1", GOOD, 405},
        {"GET /room HTTP/1.1", GOOD "Content-Length: 1\r\n", 413},
        {"GET /room/a%20b HTTP/1.1", GOOD, 404},
        {"GET /room/%7Bx%7D HTTP/1.1", GOOD, 404},
        {"GET /rooms HTTP/1.1", GOOD, 404},
        {"GET /room/%zz HTTP/1.1", GOOD, 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char headers[1024];
        snprintf(headers, sizeof headers, "Host: x\r\n%s", cases[i].headers);
        struct stage_bytes answer = stage_ask(VISITOR, request_of(cases[i].line, headers));
        assert_int_equal(stage_status(answer), cases[i].status);
        if (cases[i].status == 426)
            assert_string_equal(stage_header(answer, "Sec-WebSocket-Version"), "13");
        if (cases[i].status == 405)
            assert_string_equal(stage_header(answer, "Allow"), "GET, HEAD");
    }
}

static void test_a_handshake_is_read_without_case_and_among_others(void **state)
{
    (void)state;
    assert_int_equal(
        stage_status(stage_get("/room", "upgrade: h2c, WebSocket\r\n"
                                        "CONNECTION: keep-alive,UPGRADE\r\n" VERSION KEY)),
        101);
}

static void test_compression_is_accepted_as_far_as_it_is_understood(void **state)
{
    (void)state;
    struct stage_bytes answer =
        stage_get("/room", GOOD "Sec-WebSocket-Extensions: permessage-deflate; mux\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate; "
                                "server_max_window_bits=15\r\n");
    assert_int_equal(stage_status(answer), 101);
    assert_string_equal(stage_header(answer, "Sec-WebSocket-Extensions"),
                        "permessage-deflate; server_no_context_takeover; "
                        "client_no_context_takeover; server_max_window_bits=9");
    answer = stage_get("/room", GOOD "Sec-WebSocket-Extensions: permessage-deflate; mux\r\n");
    assert_int_equal(stage_status(answer), 101);
    assert_null(stage_header(answer, "Sec-WebSocket-Extensions"));
}

static void test_without_the_setting_nothing_is_compressed(void **state)
{
    (void)state;
    stage_close();
    stage_open_with("--compression", "false", NULL);
    struct stage_bytes answer =
        stage_get("/room", GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert_int_equal(stage_status(answer), 101);
    assert_null(stage_header(answer, "Sec-WebSocket-Extensions"));
}

static void test_rooms_have_names_of_their_own(void **state)
{
    static const char *const targets[] = {"/room", "/room/tea", "/room/%E7%8F%88%E7%90%B2",
                                          "/room/tea?x=1", "http://x/room/tea"};
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        assert_int_equal(stage_status(stage_get(targets[i], GOOD)), 101);
}

static void test_who_was_refused_may_ask_again_on_the_same_connection(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, request_of("GET /room HTTP/1.1", "Host: x\r\n" UPGRADE KEY));
    assert_int_equal(stage_status(stage_receive(visitor)), 400);
    stage_send(visitor, request_of("GET /room HTTP/1.1", "Host: x\r\n" GOOD));
    assert_int_equal(stage_status(stage_receive(visitor)), 101);
}

/* --- Bytes --- */

static void expect(int visitor, const char *data, size_t len)
{
    struct stage_bytes got = stage_receive(visitor);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, data, len);
}

static void test_frames_that_come_with_the_handshake_are_answered_behind_it(void **state)
{
    static const char request[] = "GET /room HTTP/1.1\r\nHost: x\r\n" GOOD "\r\n" PING PING_JSON;
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send_bytes(visitor, request, sizeof request - 1);
    struct stage_bytes got = stage_receive(visitor);
    assert_memory_equal(got.data, accepted, sizeof accepted - 1);
    assert_int_equal(got.len, sizeof accepted - 1 + sizeof PONG - 1 + sizeof PONG_JSON - 1);
    assert_memory_equal(got.data + sizeof accepted - 1, PONG PONG_JSON,
                        sizeof PONG - 1 + sizeof PONG_JSON - 1);
}

static void test_a_handshake_and_a_frame_may_be_cut_at_any_offset(void **state)
{
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: x\r\n" GOOD "\r\n" HELLO;
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                 "\r\n" HELLO_BACK;
    (void)state;
    for (size_t cut = 1; cut < sizeof request - 1; cut++) {
        int visitor = stage_visit(VISITOR);
        stage_send_bytes(visitor, request, cut);
        stage_send_bytes(visitor, request + cut, sizeof request - 1 - cut);
        expect(visitor, answer, sizeof answer - 1);
        stage_leave(visitor);
    }
}

static void test_requests_before_a_handshake_are_answered_before_it(void **state)
{
    static const char requests[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /room HTTP/1.1\r\nHost: x\r\n" GOOD "\r\n" PING_JSON;
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send_bytes(visitor, requests, sizeof requests - 1);
    struct stage_bytes got = stage_receive(visitor);
    const char *upgraded = strstr(got.data, "HTTP/1.1 101");
    assert_non_null(upgraded);
    size_t before = (size_t)(upgraded - got.data);
    assert_string_equal(stage_statuses((struct stage_bytes){.data = got.data, .len = before}),
                        "200 404");
    assert_memory_equal(upgraded + sizeof accepted - 1, PONG_JSON, sizeof PONG_JSON - 1);
}

static void test_http_on_a_websocket_is_no_request(void **state)
{
    int status;
    (void)state;
    int visitor = visit_room(VISITOR, "", &status);
    stage_send(visitor, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    struct stage_bytes got = stage_receive(visitor);
    assert_null(memmem(got.data, got.len, "HTTP", 4));
    assert_int_equal((unsigned char)got.data[0], 0x88); /* a close frame: 1002 */
    assert_memory_equal(got.data + 2, "\x03\xea", 2);
}

static void test_who_goes_with_the_handshake_harms_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        int visitor = stage_visit(VISITOR);
        stage_send(visitor, request_of("GET /room HTTP/1.1", "Host: x\r\n" GOOD));
        stage_leave(visitor);
    }
    assert_int_equal(upgrade_from(VISITOR, ""), 101);
}

/* --- Whose page it is --- */

static void test_without_a_setting_only_pages_of_the_host_itself_may_connect(void **state)
{
    static const struct {
        const char *origin;
        int status;
    } cases[] = {
        {"", 101}, /* no browser */
        {"Origin: http://x\r\n", 101},
        {"Origin: https://X\r\n", 101},
        {"Origin: http://x:80\r\n", 101},
        {"Origin: http://x:8080\r\n", 403},
        {"Origin: http://y\r\n", 403},
        {"Origin: http://x.y\r\n", 403},
        {"Origin: null\r\n", 403},
        {"Origin: \r\n", 403},
        {"Origin: http://x/\r\n", 403},
        {"Origin: file://x\r\n", 403},
        {"Origin: http://x\r\nOrigin: http://y\r\n", 403},
        {"Origin: http://x\r\nOrigin: http://x\r\n", 403},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(upgrade_from(VISITOR, cases[i].origin), cases[i].status);
}

static void test_with_a_setting_only_those_pages_may_connect(void **state)
{
    static const struct {
        const char *origin;
        int status;
    } cases[] = {
        {"", 101},
        {"Origin: https://a.example\r\n", 101},
        {"Origin: https://A.example:443\r\n", 101},
        {"Origin: http://b.example:8080\r\n", 101},
        {"Origin: http://a.example\r\n", 403},
        {"Origin: http://b.example\r\n", 403},
        {"Origin: http://x\r\n", 403}, /* the host itself */
        {"Origin: https://a.example.evil\r\n", 403},
        {"Origin: https://a.example\r\nOrigin: https://a.example\r\n", 403},
    };
    (void)state;
    stage_open_with("--origin", "https://a.example", "--origin", "http://b.example:8080", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(upgrade_from(VISITOR, cases[i].origin), cases[i].status);
}

static void test_with_a_star_every_page_may_connect(void **state)
{
    (void)state;
    stage_open_with("--origin", "*", NULL);
    assert_int_equal(upgrade_from(VISITOR, "Origin: https://anything.example\r\n"), 101);
    assert_int_equal(upgrade_from(VISITOR, "Origin: null\r\n"), 101);
}

/* --- How many --- */

static void test_an_address_has_so_many_websockets_and_the_next_gets_429(void **state)
{
    int status;
    (void)state;
    stage_open_with("--max-connections-per-address", "2", NULL);
    int first = visit_room(VISITOR, "", &status);
    visit_room(VISITOR, "", &status);
    assert_int_equal(status, 101);
    int third = visit_room(VISITOR, "", &status);
    assert_int_equal(status, 429);
    assert_int_equal(upgrade_from("203.0.113.2", ""), 101);
    stage_leave(first);
    stage_leave(third);
    assert_int_equal(upgrade_from(VISITOR, ""), 101);
    assert_non_null(strstr(stage_close_for_log(), VISITOR));
}

static void test_who_is_refused_takes_nothing_of_its_address_quota(void **state)
{
    (void)state;
    stage_open_with("--max-connections-per-address", "1", NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(upgrade_from(VISITOR, "Origin: http://evil.example\r\n"), 403);
        assert_int_equal(upgrade_from(VISITOR, "Content-Length: 1\r\n"), 413);
    }
    assert_int_equal(upgrade_from(VISITOR, ""), 101);
}

static void test_behind_a_trusted_proxy_each_client_has_its_own_quota(void **state)
{
    static const char one[] = "X-Forwarded-For: 198.51.100.1\r\n";
    static const char two[] = "X-Forwarded-For: 198.51.100.2\r\n";
    int status;
    (void)state;
    stage_open_with("--max-connections-per-address", "1", "--trusted-proxy", "10.0.0.0/8", NULL);
    visit_room("10.0.0.1", one, &status);
    assert_int_equal(status, 101);
    assert_int_equal(upgrade_from("10.0.0.2", one), 429);
    assert_int_equal(upgrade_from("198.51.100.1", ""), 429); /* past the proxy */
    assert_int_equal(upgrade_from("10.0.0.1", two), 101);
}

static void test_what_a_stranger_says_of_its_address_does_not_count(void **state)
{
    int status;
    (void)state;
    stage_open_with("--max-connections-per-address", "1", NULL);
    visit_room(VISITOR, "X-Forwarded-For: 198.51.100.1\r\n", &status);
    assert_int_equal(status, 101);
    assert_int_equal(upgrade_from(VISITOR, "X-Forwarded-For: 198.51.100.2\r\n"), 429);
    assert_int_equal(upgrade_from("198.51.100.1", ""), 101);
}

static void test_when_max_connections_are_there_the_next_gets_503_until_one_leaves(void **state)
{
    int status;
    (void)state;
    stage_open_with("--max-connections", "2", NULL);
    int first = visit_room("203.0.113.1", "", &status);
    visit_room("203.0.113.2", "", &status);
    int third = visit_room("203.0.113.3", "", &status);
    assert_int_equal(status, 503);
    stage_send(third, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(stage_status(stage_receive(third)), 200);
    stage_leave(first);
    stage_send(third, request_of("GET /room HTTP/1.1", "Host: x\r\n" GOOD));
    assert_int_equal(stage_status(stage_receive(third)), 101);
}

static void test_however_small_max_unsent_is_who_comes_is_let_in_while_nothing_waits(void **state)
{
    (void)state;
    stage_open_with("--max-unsent", "1", NULL);
    assert_int_equal(upgrade_from(VISITOR, ""), 101);
    assert_int_equal(upgrade_from(VISITOR, ""), 101);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_good_handshake_is_answered_with_the_accept_key_of_the_rfc),
        TEST(test_a_handshake_is_refused_by_what_is_wrong_with_it),
        TEST(test_a_handshake_is_read_without_case_and_among_others),
        TEST(test_compression_is_accepted_as_far_as_it_is_understood),
        TEST(test_without_the_setting_nothing_is_compressed),
        TEST(test_rooms_have_names_of_their_own),
        TEST(test_who_was_refused_may_ask_again_on_the_same_connection),
        TEST(test_frames_that_come_with_the_handshake_are_answered_behind_it),
        TEST(test_a_handshake_and_a_frame_may_be_cut_at_any_offset),
        TEST(test_requests_before_a_handshake_are_answered_before_it),
        TEST(test_http_on_a_websocket_is_no_request),
        TEST(test_who_goes_with_the_handshake_harms_nobody),
        TEST(test_without_a_setting_only_pages_of_the_host_itself_may_connect),
        TEST(test_with_a_setting_only_those_pages_may_connect),
        TEST(test_with_a_star_every_page_may_connect),
        TEST(test_an_address_has_so_many_websockets_and_the_next_gets_429),
        TEST(test_who_is_refused_takes_nothing_of_its_address_quota),
        TEST(test_behind_a_trusted_proxy_each_client_has_its_own_quota),
        TEST(test_what_a_stranger_says_of_its_address_does_not_count),
        TEST(test_when_max_connections_are_there_the_next_gets_503_until_one_leaves),
        TEST(test_however_small_max_unsent_is_who_comes_is_let_in_while_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
