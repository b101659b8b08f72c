/* Answers as bytes, and on their way through a socket that takes little at a time. */
#include "unit.h"

#include "http/response.h"

#include <sys/socket.h>
#include <unistd.h>

enum { BODY_BYTES = 300000 };

static struct response response;
static int pair[2];

static int open_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
}

static int close_pair(void **state)
{
    (void)state;
    response_done(&response);
    response.keep_alive = false;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

/* What has come at the other end, and a NUL. */
static size_t receive(char *out, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while (len < size - 1 && (got = read(pair[1], out + len, size - 1 - len)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    return len;
}

static void assert_sent(const char *expected)
{
    char bytes[2048];
    assert_int_equal(response_write(&response, pair[0]), 1);
    receive(bytes, sizeof bytes);
    assert_string_equal(bytes, expected);
}

/* --- Making --- */

static void test_a_sentence_is_a_whole_answer_that_is_not_cached(void **state)
{
    (void)state;
    response.keep_alive = true;
    response_say(&response, 200, "OK");
    assert_sent("HTTP/1.1 200 OK\r\n"
                "X-Content-Type-Options: nosniff\r\n"
                "Referrer-Policy: no-referrer\r\n"
                "Cache-Control: no-store\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Length: 3\r\n"
                "Connection: keep-alive\r\n"
                "\r\n"
                "OK\n");
}

static void test_an_error_has_the_headers_that_its_status_needs(void **state)
{
    static const struct {
        int status;
        const char *line, *header;
    } cases[] = {
        {405, "HTTP/1.1 405 Method Not Allowed\r\n", "\r\nAllow: GET, HEAD\r\n"},
        {426, "HTTP/1.1 426 Upgrade Required\r\n",
         "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
        {429, "HTTP/1.1 429 Too Many Requests\r\n", "\r\nRetry-After: 5\r\n"},
        {503, "HTTP/1.1 503 Service Unavailable\r\n", "\r\nRetry-After: 5\r\n"},
        {404, "HTTP/1.1 404 Not Found\r\n", "\r\nConnection: close\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        response_say(&response, cases[i].status, "Because.");
        assert_ptr_equal(strstr(response.out.data, cases[i].line), response.out.data);
        assert_non_null(strstr(response.out.data, cases[i].header));
        assert_non_null(strstr(response.out.data, "\r\n\r\nBecause.\n"));
    }
}

static void test_headers_stand_where_they_were_added_and_nothing_of_an_earlier_head(void **state)
{
    (void)state;
    response_begin(&response, 500);
    response_add_headers(&response, "Never: sent\r\n");
    response_begin(&response, 204);
    response_add_headers(&response, "Allow: GET\r\n");
    response_end_empty(&response);
    assert_sent("HTTP/1.1 204 No Content\r\n"
                "X-Content-Type-Options: nosniff\r\n"
                "Referrer-Policy: no-referrer\r\n"
                "Allow: GET\r\n"
                "Connection: close\r\n"
                "\r\n");
}

/* RFC 9110 section 9.3.2 */
static void test_to_head_all_headers_are_sent_and_no_body(void **state)
{
    static const unsigned char body[] = "four";
    (void)state;
    for (int is_static = 0; is_static < 2; is_static++) {
        response.is_head = true;
        response_begin(&response, 200);
        if (is_static)
            response_end_static(&response, "text/css", body, 4);
        else
            response_end_text(&response, "text/css", "four", 4);
        assert_sent("HTTP/1.1 200 OK\r\n"
                    "X-Content-Type-Options: nosniff\r\n"
                    "Referrer-Policy: no-referrer\r\n"
                    "Content-Type: text/css\r\n"
                    "Content-Length: 4\r\n"
                    "Connection: close\r\n"
                    "\r\n");
        response_done(&response);
        assert_false(response.is_head);
    }
}

/* --- Sending --- */

static void test_a_static_body_goes_out_whole_however_little_is_taken_at_a_time(void **state)
{
    static unsigned char body[BODY_BYTES];
    static char bytes[BODY_BYTES + 1024];
    const int narrow = 4096;
    size_t len = 0;
    int result;
    (void)state;
    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (unsigned char)(i % 251);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &narrow, sizeof narrow);
    response_begin(&response, 200);
    response_end_static(&response, "image/png", body, BODY_BYTES);
    size_t head_len = response.out.len;
    int waits = 0;
    while ((result = response_write(&response, pair[0])) == 0) {
        len += receive(bytes + len, sizeof bytes - len);
        waits++;
    }
    len += receive(bytes + len, sizeof bytes - len);
    assert_int_equal(result, 1);
    assert_true(waits > 1);
    assert_int_equal(len, head_len + BODY_BYTES);
    assert_memory_equal(bytes + head_len, body, BODY_BYTES);
}

static void test_a_socket_whose_peer_is_gone_is_broken(void **state)
{
    (void)state;
    response_say(&response, 200, "OK");
    close(pair[1]);
    assert_int_equal(response_write(&response, pair[0]), -1);
    pair[1] = dup(pair[0]);
}

static void test_a_bare_answer_is_a_head_alone(void **state)
{
    char bytes[256];
    (void)state;
    response_send_bare(pair[0], 429);
    receive(bytes, sizeof bytes);
    assert_string_equal(bytes, "HTTP/1.1 429 Too Many Requests\r\n"
                               "Retry-After: 5\r\n"
                               "Content-Length: 0\r\n"
                               "Connection: close\r\n"
                               "\r\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_sentence_is_a_whole_answer_that_is_not_cached),
        TEST(test_an_error_has_the_headers_that_its_status_needs),
        TEST(test_headers_stand_where_they_were_added_and_nothing_of_an_earlier_head),
        TEST(test_to_head_all_headers_are_sent_and_no_body),
        TEST(test_a_static_body_goes_out_whole_however_little_is_taken_at_a_time),
        TEST(test_a_socket_whose_peer_is_gone_is_broken),
        TEST(test_a_bare_answer_is_a_head_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
