/* HTTP on a socket: requests in whatever pieces they come, answers in order, who goes and who
 * waits. */
#include "unit.h"

#include "http_stage.h"

#define HEALTHZ "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define NOTHING "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
#define LAST    "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define VISITOR "203.0.113.1"

static const char healthy[] = "HTTP/1.1 200 OK\r\n"
                              "X-Content-Type-Options: nosniff\r\n"
                              "Referrer-Policy: no-referrer\r\n"
                              "Cache-Control: no-store\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Length: 3\r\n"
                              "Connection: keep-alive\r\n"
                              "\r\n"
                              "OK\n";

/* What is answered to these bytes. */
static const char *statuses_of(const char *requests)
{
    return stage_statuses(stage_ask(VISITOR, requests));
}

/* --- Pieces --- */

static void test_an_answer_has_these_bytes(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, HEALTHZ);
    assert_string_equal(stage_receive_text(visitor), healthy);
    assert_false(stage_is_ended(visitor));
}

/* Somebody else's comes in between. */
static void test_a_request_cut_in_two_at_any_offset_is_answered_as_if_it_were_whole(void **state)
{
    (void)state;
    const size_t len = strlen(HEALTHZ);
    int visitor = stage_visit(VISITOR);
    for (size_t cut = 1; cut < len; cut++) {
        stage_send_bytes(visitor, HEALTHZ, cut);
        assert_string_equal(stage_receive_text(visitor), "");
        assert_string_equal(stage_statuses(stage_ask("203.0.113.2", NOTHING)), "404");
        stage_send_bytes(visitor, HEALTHZ + cut, len - cut);
        assert_string_equal(stage_receive_text(visitor), healthy);
    }
}

static void test_a_request_that_comes_byte_by_byte_is_answered_after_its_last_one(void **state)
{
    (void)state;
    const size_t len = strlen(HEALTHZ);
    int visitor = stage_visit(VISITOR);
    for (size_t i = 0; i < len; i++) {
        assert_string_equal(stage_receive_text(visitor), "");
        stage_send_bytes(visitor, HEALTHZ + i, 1);
    }
    assert_string_equal(stage_receive_text(visitor), healthy);
}

static void test_two_requests_cut_at_any_offset_are_answered_in_order(void **state)
{
    static const char both[] = NOTHING HEALTHZ;
    (void)state;
    for (size_t cut = 1; cut < sizeof both - 1; cut++) {
        int visitor = stage_visit(VISITOR);
        stage_send_bytes(visitor, both, cut);
        stage_send_bytes(visitor, both + cut, sizeof both - 1 - cut);
        assert_string_equal(stage_statuses(stage_receive(visitor)), "404 200");
        assert_false(stage_is_ended(visitor));
        stage_leave(visitor);
    }
}

/* --- Several on one connection --- */

static void test_requests_that_come_at_once_are_answered_in_order_up_to_the_last_one(void **state)
{
    (void)state;
    struct stage_bytes answers = stage_ask(VISITOR, HEALTHZ NOTHING HEALTHZ NOTHING LAST NOTHING);
    assert_string_equal(stage_statuses(answers), "200 404 200 404 200");
    assert_true(answers.ended);
}

/* Each is an iteration of the loop, no deeper call. */
static void test_as_many_requests_at_once_as_a_read_takes_are_all_answered(void **state)
{
    enum { MANY = 400 };
    static char all[MANY * sizeof HEALTHZ];
    (void)state;
    for (int i = 0; i < MANY; i++)
        strcat(all, HEALTHZ);
    struct stage_bytes answers = stage_ask(VISITOR, all);
    assert_int_equal(answers.len, MANY * strlen(healthy));
    assert_string_equal(answers.data + answers.len - strlen(healthy), healthy);
}

static void test_a_connection_stays_open_as_its_version_and_its_header_say(void **state)
{
    static const struct {
        const char *request, *connection;
    } cases[] = {
        {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "keep-alive"},
        {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "close"},
        {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: x, CLOSE\r\n\r\n", "close"},
        {"GET /healthz HTTP/1.0\r\n\r\n", "close"},
        {"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage_bytes answer = stage_ask(VISITOR, cases[i].request);
        assert_string_equal(stage_statuses(answer), "200");
        assert_string_equal(stage_header(answer, "Connection"), cases[i].connection);
        assert_int_equal(answer.ended, strcmp(cases[i].connection, "close") == 0);
    }
}

static void test_an_empty_line_before_a_request_is_skipped(void **state)
{
    (void)state;
    assert_string_equal(statuses_of("\r\n" HEALTHZ "\r\n" NOTHING), "200 404");
}

/* --- HEAD --- */

static void test_head_gets_the_head_that_get_gets_and_no_body(void **state)
{
    static const char *const targets[] = {"/", "/healthz", "/nothing", "/room", "/readyz", "/%"};
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char request[128], expected[4096];
        struct stage_bytes get = stage_get(targets[i], "");
        size_t head_len = (size_t)(stage_body(get).data - get.data);
        assert_true(stage_body(get).len > 0);
        snprintf(expected, sizeof expected, "%.*s", (int)head_len, get.data);
        snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        assert_string_equal(stage_ask(VISITOR, request).data, expected);
    }
}

static void test_what_follows_a_head_is_answered_with_its_body(void **state)
{
    (void)state;
    struct stage_bytes answers =
        stage_ask(VISITOR, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n" HEALTHZ);
    assert_string_equal(strstr(answers.data, "\r\n\r\n") + 4, healthy);
}

static void test_a_head_that_brings_a_body_is_refused_without_one(void **state)
{
    (void)state;
    struct stage_bytes answer =
        stage_ask(VISITOR, "HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    assert_string_equal(stage_statuses(answer), "413");
    assert_int_equal(stage_body(answer).len, 0);
}

/* There is no method to know it by. */
static void test_what_is_malformed_is_answered_with_a_body_also_after_a_head(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_receive(visitor);
    stage_send(visitor, "no request\r\n\r\n");
    struct stage_bytes answer = stage_receive(visitor);
    assert_string_equal(stage_statuses(answer), "400");
    assert_true(stage_body(answer).len > 0);
}

/* --- What is no request --- */

static void test_what_cannot_be_answered_gets_the_reason_and_ends_the_connection(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"no request\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400}, /* no Host */
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
         400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage_bytes answer = stage_ask(VISITOR, cases[i].request);
        assert_int_equal(stage_status(answer), cases[i].status);
        assert_string_equal(stage_header(answer, "Connection"), "close");
        assert_true(answer.ended);
    }
}

/* It would be a request that somebody else has put there. */
static void test_a_body_that_is_refused_is_never_read_as_a_request(void **state)
{
    (void)state;
    assert_string_equal(
        statuses_of("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 36\r\n\r\n" HEALTHZ), "413");
}

static void test_a_content_length_of_nought_is_no_body(void **state)
{
    (void)state;
    assert_string_equal(
        statuses_of("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" HEALTHZ),
        "200 200");
}

static void test_what_can_become_no_request_is_not_waited_for(void **state)
{
    (void)state;
    assert_string_equal(statuses_of("\x16\x03\x01\x02"), "400"); /* TLS */
    assert_string_equal(statuses_of("GET / HTTP/1.1\n"), "400"); /* no CR */
}

/* --- How much --- */

/* A request whose head has this length. */
static const char *request_of(size_t len)
{
    static char request[40000];
    static const char start[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ";
    memset(request, 'x', len);
    memcpy(request, start, sizeof start - 1);
    strcpy(request + len - 4, "\r\n\r\n");
    return request;
}

static void test_a_head_of_max_head_bytes_is_answered_and_a_longer_one_refused(void **state)
{
    (void)state;
    stage_open_with("--max-head", "1024", NULL);
    assert_string_equal(statuses_of(request_of(1024)), "200");
    assert_string_equal(statuses_of(request_of(1025)), "431");
    assert_string_equal(statuses_of(request_of(20000)), "431");
}

static void test_a_head_that_is_too_long_is_refused_also_when_it_comes_in_pieces(void **state)
{
    (void)state;
    stage_open_with("--max-head", "1024", NULL);
    const char *request = request_of(2000);
    int visitor = stage_visit(VISITOR);
    for (size_t at = 0; at < 2000; at += 100)
        stage_send_bytes(visitor, request + at, 100);
    struct stage_bytes answer = stage_receive(visitor);
    assert_string_equal(stage_statuses(answer), "431");
    assert_false(answer.reset);
}

static void test_sixty_four_headers_are_taken_and_one_more_is_refused(void **state)
{
    char request[2048] = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    (void)state;
    for (int i = 1; i < 64; i++)
        strcat(request, "A: b\r\n");
    size_t len = strlen(request);
    strcpy(request + len, "\r\n");
    assert_string_equal(statuses_of(request), "200");
    strcpy(request + len, "A: b\r\n\r\n");
    assert_string_equal(statuses_of(request), "431");
}

/* --- Whoever sends on --- */

/* A reset would throw away the answer that is on its way. */
static void test_who_goes_on_sending_a_refused_body_gets_the_answer_and_no_reset(void **state)
{
    static const char piece[1000];
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100; i++)
        assert_true(stage_send_bytes(visitor, piece, sizeof piece));
    struct stage_bytes answer = stage_receive(visitor);
    assert_string_equal(stage_statuses(answer), "413");
    assert_true(answer.ended);
    stage_pass(3);
    assert_false(stage_send(visitor, "and on"));
}

/* A request for the largest file that the page names. */
static const char *request_of_file(void)
{
    static char request[256];
    const char *path = strstr(stage_get("/", "").data, "/assets/app.");
    snprintf(request, sizeof request, "GET %.*s HTTP/1.1\r\nHost: x\r\n\r\n",
             (int)strcspn(path, "\""), path);
    return request;
}

static void test_an_answer_goes_out_in_pieces_to_who_reads_slowly(void **state)
{
    enum { MANY = 20 };
    char *expected = calloc(1, MANY << 14);
    (void)state;
    const char *request = request_of_file();
    size_t len = stage_ask(VISITOR, request).len;
    for (size_t i = 0; i < MANY; i++)
        strcat(expected, stage_ask(VISITOR, request).data);
    int visitor = stage_visit_narrow(VISITOR);
    for (int i = 0; i < MANY; i++)
        stage_send(visitor, request);
    struct stage_bytes answers = stage_receive(visitor);
    assert_int_equal(answers.len, MANY * len);
    assert_memory_equal(answers.data, expected, answers.len);
    free(expected);
}

static void test_who_goes_in_the_middle_of_an_answer_harms_nobody(void **state)
{
    (void)state;
    int visitor = stage_visit_narrow(VISITOR);
    for (int i = 0; i < 20; i++)
        stage_send(visitor, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_leave(visitor);
    assert_string_equal(statuses_of(HEALTHZ), "200");
}

static void test_who_goes_in_the_middle_of_a_request_harms_nobody(void **state)
{
    (void)state;
    int visitor = stage_visit(VISITOR);
    stage_send(visitor, "GET /hea");
    stage_leave(visitor);
    stage_pass(20);
    assert_string_equal(statuses_of(HEALTHZ), "200");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_has_these_bytes),
        TEST(test_a_request_cut_in_two_at_any_offset_is_answered_as_if_it_were_whole),
        TEST(test_a_request_that_comes_byte_by_byte_is_answered_after_its_last_one),
        TEST(test_two_requests_cut_at_any_offset_are_answered_in_order),
        TEST(test_requests_that_come_at_once_are_answered_in_order_up_to_the_last_one),
        TEST(test_as_many_requests_at_once_as_a_read_takes_are_all_answered),
        TEST(test_a_connection_stays_open_as_its_version_and_its_header_say),
        TEST(test_an_empty_line_before_a_request_is_skipped),
        TEST(test_head_gets_the_head_that_get_gets_and_no_body),
        TEST(test_what_follows_a_head_is_answered_with_its_body),
        TEST(test_a_head_that_brings_a_body_is_refused_without_one),
        TEST(test_what_is_malformed_is_answered_with_a_body_also_after_a_head),
        TEST(test_what_cannot_be_answered_gets_the_reason_and_ends_the_connection),
        TEST(test_a_body_that_is_refused_is_never_read_as_a_request),
        TEST(test_a_content_length_of_nought_is_no_body),
        TEST(test_what_can_become_no_request_is_not_waited_for),
        TEST(test_a_head_of_max_head_bytes_is_answered_and_a_longer_one_refused),
        TEST(test_a_head_that_is_too_long_is_refused_also_when_it_comes_in_pieces),
        TEST(test_sixty_four_headers_are_taken_and_one_more_is_refused),
        TEST(test_who_goes_on_sending_a_refused_body_gets_the_answer_and_no_reset),
        TEST(test_an_answer_goes_out_in_pieces_to_who_reads_slowly),
        TEST(test_who_goes_in_the_middle_of_an_answer_harms_nobody),
        TEST(test_who_goes_in_the_middle_of_a_request_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
