#include "unit.h"

#include "handshake.h"
#include "http_request.h"

static char buffer[4096];

static int parse(const char *text, struct http_request *out)
{
    snprintf(buffer, sizeof buffer, "%s", text);
    return http_request_parse(buffer, strlen(buffer), out);
}

static void test_head_len_at_every_cut(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nmore";
    size_t whole = sizeof "GET / HTTP/1.1\r\nHost: x\r\n\r\n" - 1;
    (void)state;
    for (size_t seen = 0; seen < whole; seen++) {
        assert_int_equal(http_request_head_len(head, seen, 0), 0);
        for (size_t len = seen; len < sizeof head; len++)
            assert_int_equal(http_request_head_len(head, len, seen), len >= whole ? whole : 0);
    }
}

static void test_parse_good(void **state)
{
    struct http_request request;
    (void)state;
    assert_int_equal(
        parse("GET /a/b?c=d&e HTTP/1.1\r\nHost: x\r\nX-Two: \t one, two\t \r\nEmpty:\r\n\r\n",
              &request),
        0);
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.path, "/a/b");
    assert_string_equal(request.query, "c=d&e");
    assert_int_equal(request.minor, 1);
    assert_string_equal(http_request_header(&request, "x-two"), "one, two");
    assert_string_equal(http_request_header(&request, "EMPTY"), "");
    assert_null(http_request_header(&request, "none"));
    assert_true(http_request_keeps_alive(&request));
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &request), 0);
    assert_false(http_request_keeps_alive(&request));
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &request), 0);
    assert_true(http_request_keeps_alive(&request));
}

static void test_parse_bad(void **state)
{
    static const char *const bad[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
        "G T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n y: z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n",
    };
    struct http_request request;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i], &request), HTTP_REQUEST_BAD);
    assert_int_equal(parse("GET / HTTP/3.0\r\nHost: x\r\n\r\n", &request), HTTP_REQUEST_VERSION);
    static const char with_nul[] = "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n";
    memcpy(buffer, with_nul, sizeof with_nul);
    assert_int_equal(http_request_parse(buffer, sizeof with_nul - 1, &request), HTTP_REQUEST_BAD);
}

static void test_parse_too_many_headers(void **state)
{
    struct http_request request;
    char text[2048] = "GET / HTTP/1.1\r\nHost: x\r\n";
    (void)state;
    for (int i = 0; i < HTTP_REQUEST_HEADERS; i++)
        strcat(text, "A: b\r\n");
    strcat(text, "\r\n");
    assert_int_equal(parse(text, &request), HTTP_REQUEST_TOO_MANY_HEADERS);
}

static void test_tokens(void **state)
{
    struct http_request request;
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive , "
                           "UPGRADE\r\nConnection: te\r\n\r\n",
                           &request),
                     0);
    assert_true(http_field_has(&request, "connection", "upgrade"));
    assert_true(http_field_has(&request, "connection", "te"));
    assert_false(http_field_has(&request, "connection", "up"));
    assert_false(http_field_has(&request, "connection", "keep"));
}

static void test_decode(void **state)
{
    char good[] = "a%20b%e7%8f%88+";
    (void)state;
    assert_int_equal(http_request_decode(good), 7);
    assert_string_equal(good, "a b珈+");
    static const char *const bad[] = {"%", "%1", "%zz", "%00", "x%2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[8];
        strcpy(text, bad[i]);
        assert_int_equal(http_request_decode(text), -1);
    }
}

static void test_accept_key_of_the_rfc(void **state)
{
    char accept[HANDSHAKE_ACCEPT_BYTES];
    (void)state;
    handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept); /* RFC 6455 section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* RFC 9110 section 5.6.2. A colon ends the name. */
static void test_which_bytes_a_header_name_may_have(void **state)
{
    static const char fair[] = "!#$%&'*+-.^_`|~0123456789:"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    (void)state;
    for (int byte = 1; byte <= UINT8_MAX; byte++) {
        struct http_request request;
        char text[64];
        snprintf(text, sizeof text, "GET / HTTP/1.0\r\nA%cB: x\r\n\r\n", byte);
        assert_int_equal(parse(text, &request), strchr(fair, byte) != NULL ? 0 : HTTP_REQUEST_BAD);
    }
}

static int judge(const char *headers)
{
    struct http_request request;
    char text[1024];
    snprintf(text, sizeof text, "GET /room HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
    assert_int_equal(parse(text, &request), 0);
    return handshake_judge(&request);
}

static void test_judge(void **state)
{
    (void)state;
#define REST "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
#define KEY  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert_int_equal(judge("Upgrade: websocket\r\n" REST KEY), 101);
    assert_int_equal(judge("Upgrade: h2c, WebSocket\r\n" REST KEY), 101);
    assert_int_equal(judge(REST KEY), 426);
    assert_int_equal(judge("Upgrade: websocket\r\n" REST), 400);
    assert_int_equal(judge("Upgrade: websocket\r\n" REST KEY KEY), 400);
    assert_int_equal(
        judge("Upgrade: websocket\r\n" REST "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ!=\r\n"),
        400);
    assert_int_equal(judge("Upgrade: websocket\r\n" REST KEY "Content-Length: 1\r\n"), 400);
}

static bool allows(const char *headers, char *const *allowed, size_t n)
{
    struct http_request request;
    char text[1024];
    snprintf(text, sizeof text, "GET /room HTTP/1.1\r\nHost: Chat.example:8080\r\n%s\r\n", headers);
    assert_int_equal(parse(text, &request), 0);
    return handshake_origin_allowed(&request, allowed, n);
}

static void test_origin(void **state)
{
    char one[] = "https://one.example";
    char all[] = "*";
    char *some[] = {one};
    char *any[] = {all};
    (void)state;
    assert_true(allows("", NULL, 0));
    assert_true(allows("Origin: https://chat.example:8080\r\n", NULL, 0));
    assert_false(allows("Origin: https://chat.example\r\n", NULL, 0));
    assert_false(allows("Origin: null\r\n", NULL, 0));
    assert_false(allows("Origin: https://chat.example:8080.evil\r\n", NULL, 0));
    assert_true(allows("Origin: https://ONE.example\r\n", some, 1));
    assert_false(allows("Origin: https://chat.example:8080\r\n", some, 1));
    assert_true(allows("Origin: null\r\n", any, 1));
}

static void test_which_bytes_a_key_may_have(void **state)
{
    static const char fair[] = "+/0123456789"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    (void)state;
    for (int byte = '!'; byte <= UINT8_MAX; byte++) {
        char headers[200];
        if (byte == 0x7f)
            continue; /* no header may have it */
        snprintf(headers, sizeof headers,
                 "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlI%cNhbXBsZSBub25jZQ==\r\n",
                 byte);
        assert_int_equal(judge(headers), strchr(fair, byte) != NULL ? 101 : 400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_len_at_every_cut),
        cmocka_unit_test(test_parse_good),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_parse_too_many_headers),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_accept_key_of_the_rfc),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_which_bytes_a_header_name_may_have),
        cmocka_unit_test(test_which_bytes_a_key_may_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
