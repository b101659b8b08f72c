#include "unit.h"

#include "protocol/handshake.h"
#include "protocol/http_field.h"
#include "protocol/http_request.h"

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
        "GET / HTTP/11.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS *x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x:y/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x:80:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: http://x\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
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

static void assert_target(const char *target, const char *path, const char *query, const char *host)
{
    struct http_request request;
    char text[200];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: own\r\n\r\n", target);
    assert_int_equal(parse(text, &request), 0);
    assert_string_equal(request.path, path);
    assert_string_equal(request.host, host);
    if (query == NULL)
        assert_null(request.query);
    else
        assert_string_equal(request.query, query);
}

/* RFC 9112 section 3.2.2: of an absolute target the host is what counts, whatever Host says. */
static void test_an_absolute_target_is_a_path_and_a_host(void **state)
{
    (void)state;
    assert_target("/a?b", "/a", "b", "own");
    assert_target("http://x/a", "/a", NULL, "x");
    assert_target("https://x/a?b=/c", "/a", "b=/c", "x");
    assert_target("HTTPS://Chat.Example:8443/", "/", NULL, "Chat.Example:8443");
    assert_target("http://x", "/", NULL, "x");
    assert_target("http://x?b", "/", "b", "x");
    assert_target("http://[::1]:80?b", "/", "b", "[::1]:80");
    assert_target("//x/a", "//x/a", NULL, "own");
    assert_target("/http://x/", "/http://x/", NULL, "own");
}

static void test_the_host_is_one_and_a_good_one(void **state)
{
    static const char *const good[] = {"x", "X:80", "", "[::1]:8080", "a_b.c", "x:"};
    struct http_request request;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[100];
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        assert_int_equal(parse(text, &request), 0);
        assert_string_equal(request.host, good[i]);
    }
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &request), 0);
    assert_null(request.host);
}

static void test_an_empty_line_before_the_request_is_skipped(void **state)
{
    static const char head[] = "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    struct http_request request;
    (void)state;
    for (size_t len = 0; len < sizeof head - 1; len++)
        assert_int_equal(http_request_head_len(head, len, 0), 0);
    assert_int_equal(http_request_head_len(head, sizeof head - 1, 0), sizeof head - 1);
    assert_int_equal(parse(head, &request), 0);
    assert_string_equal(request.path, "/a");
}

static void test_a_version_above_1_1_is_spoken_to_as_1_1(void **state)
{
    struct http_request request;
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.2\r\nHost: x\r\n\r\n", &request), 0);
    assert_int_equal(request.minor, 1);
    assert_int_equal(parse("GET / HTTP/0.9\r\nHost: x\r\n\r\n", &request), HTTP_REQUEST_VERSION);
    assert_int_equal(parse("PRI * HTTP/2.0\r\n\r\n", &request), HTTP_REQUEST_VERSION);
}

static void test_options_of_the_server(void **state)
{
    struct http_request request;
    (void)state;
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", &request), 0);
    assert_string_equal(request.path, "*");
    assert_null(request.query);
}

static void test_what_can_become_no_request_is_known_at_once(void **state)
{
    static const char good[] = "\r\nGET / HTTP/1.1\r\nHost: x\r\nA: b";
    static const char lone[] = "GET / HTTP/1.1\r\nHost: x\n";
    (void)state;
    for (size_t len = 0; len < sizeof good; len++)
        for (size_t seen = 0; seen <= len; seen++)
            assert_false(http_request_is_hopeless(good, len, seen));
    for (size_t seen = 0; seen < sizeof lone - 1; seen++) {
        assert_true(http_request_is_hopeless(lone, sizeof lone - 1, seen));
        assert_false(http_request_is_hopeless(lone, sizeof lone - 2, seen));
    }
    assert_true(http_request_is_hopeless("\x16\x03\x01", 3, 0)); /* TLS */
    assert_true(http_request_is_hopeless("\n", 1, 0));
    assert_true(http_request_is_hopeless(" ", 1, 0));
}

/* Whatever is hopeless is refused when it is whole; and what is refused with 400 for the form of
 * one of its lines is hopeless as soon as that line has come. */
static void test_a_line_that_no_head_has_is_hopeless_at_once(void **state)
{
    static const char *const lines[] = {
        "Host x",     "Host",       "Ho st: x", " Host: x", "\tHost: x", "Host : x",  ": x",
        "Host: a\rb", "Host: \001", "A: \x7f",  "A(b): c",  "A,: b",     "Host: x\r",
    };
    static const char *const first[] = {
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1",
        "GET / http/1.1",
        "GET / HTTP/1.12",
        "GET /a b HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET / HTTP/1.1\r",
    };
    char text[200];
    struct http_request request;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nA: b\r\n%s\r\n", lines[i]);
        for (size_t seen = 0; !http_request_is_hopeless(text, seen, 0); seen++)
            if (!http_request_is_hopeless(text, (size_t)len, seen))
                fail_msg("%s waits when %zu bytes were seen", lines[i], seen);
        strcat(text, "\r\n");
        assert_int_equal(parse(text, &request), HTTP_REQUEST_BAD);
    }
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        int len = snprintf(text, sizeof text, "\r\n%s\r\n", first[i]);
        if (!http_request_is_hopeless(text, (size_t)len, 0) ||
            !http_request_is_hopeless(text + 2, (size_t)len - 2, 0))
            fail_msg("%s waits", first[i]);
        strcat(text, "Host: x\r\n\r\n");
        assert_int_equal(parse(text, &request), HTTP_REQUEST_BAD);
    }
}

/* However a head comes, what was seen of it changes nothing. */
static void test_what_was_seen_of_a_head_need_not_be_judged_again(void **state)
{
    static const char *const heads[] = {
        "GET /a?b=c HTTP/1.1\r\nHost: x:80\r\nA: b c\r\nB:\r\n",
        "\r\nGET / HTTP/1.1\r\nA: \r\rb\r\n",
        "GET /\r / HTTP/1.1\r\n",
        "GE\rT / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nA\rB: c\r\n",
        "GET / HTTP/1.1\r\nA : c\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1\nA: b\r\n",
        "GET / HTTP/1.1\r\nA: b\n",
        "GET / HTTP/1.1\r\nA: b\001c\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t whole = strlen(heads[i]);
        for (size_t seen = 0; seen < whole; seen++) {
            if (http_request_is_hopeless(heads[i], seen, 0))
                break;
            for (size_t len = seen; len <= whole; len++)
                if (http_request_is_hopeless(heads[i], len, seen) !=
                    http_request_is_hopeless(heads[i], len, 0))
                    fail_msg("%s: of %zu bytes %zu were seen", heads[i], len, seen);
        }
    }
}

static void test_what_is_refused_for_more_than_its_form_is_not_hopeless(void **state)
{
    static const char version[] = "GET / HTTP/2.0\r\n";
    static const char coding[] = "GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n";
    (void)state;
    assert_false(http_request_is_hopeless(version, sizeof version - 1, 0));
    assert_false(http_request_is_hopeless(coding, sizeof coding - 1, 0));
    assert_true(http_request_is_hopeless("GET / HTTP/1.1\r\nA: \0", 20, 0));
    assert_true(http_request_is_hopeless("\rG", 2, 0));
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
    assert_int_equal(judge("Upgrade: websocket\r\n" REST KEY "Content-Length: 0\r\n"), 101);
    assert_int_equal(judge("Upgrade: websocket\r\n" REST KEY "Sec-WebSocket-Version: 8\r\n"), 400);
    assert_int_equal(judge("Upgrade: websocket\r\n" REST KEY "Connection: close\r\n"), 101);
    assert_int_equal(judge("Upgrade: websockets\r\n" REST KEY), 426);
}

static void test_head_is_told_what_get_would_be_and_never_upgrades(void **state)
{
    struct http_request request;
    (void)state;
    assert_int_equal(
        parse("HEAD /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" REST KEY "\r\n", &request),
        0);
    assert_int_equal(handshake_judge(&request), 426);
    assert_int_equal(parse("HEAD /room HTTP/1.1\r\nHost: x\r\n\r\n", &request), 0);
    assert_int_equal(handshake_judge(&request), 426);
    assert_int_equal(parse("PUT /room HTTP/1.1\r\nHost: x\r\n\r\n", &request), 0);
    assert_int_equal(handshake_judge(&request), 405);
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
    assert_true(allows("Origin: https://one.example:443\r\n", some, 1));
    assert_false(allows("Origin: http://one.example\r\n", some, 1));
    assert_false(allows("Origin: https://one.example.evil\r\n", some, 1));
    assert_false(allows("Origin: https://one.example https://evil.example\r\n", some, 1));
    assert_false(
        allows("Origin: https://one.example\r\nOrigin: https://evil.example\r\n", some, 1));
    assert_false(allows("Origin:\r\n", some, 1));
    assert_false(allows("Origin: file://\r\n", NULL, 0));
}

static bool allows_at(const char *target, const char *host, const char *origin)
{
    struct http_request request;
    char text[500];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\n\r\n", target, host,
             origin);
    assert_int_equal(parse(text, &request), 0);
    return handshake_origin_allowed(&request, NULL, 0);
}

static void test_an_origin_is_of_the_host_that_the_request_is_for(void **state)
{
    (void)state;
    assert_true(allows_at("/room", "h:443", "https://h"));
    assert_true(allows_at("/room", "h:80", "http://h"));
    assert_true(allows_at("/room", "h", "https://H"));
    assert_false(allows_at("/room", "h:80", "https://h"));
    assert_false(allows_at("/room", "", "file://"));
    assert_true(allows_at("http://h/room", "other", "http://h"));
    assert_false(allows_at("http://h/room", "other", "http://other"));
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
        cmocka_unit_test(test_an_absolute_target_is_a_path_and_a_host),
        cmocka_unit_test(test_the_host_is_one_and_a_good_one),
        cmocka_unit_test(test_an_empty_line_before_the_request_is_skipped),
        cmocka_unit_test(test_a_version_above_1_1_is_spoken_to_as_1_1),
        cmocka_unit_test(test_options_of_the_server),
        cmocka_unit_test(test_what_can_become_no_request_is_known_at_once),
        cmocka_unit_test(test_a_line_that_no_head_has_is_hopeless_at_once),
        cmocka_unit_test(test_what_was_seen_of_a_head_need_not_be_judged_again),
        cmocka_unit_test(test_what_is_refused_for_more_than_its_form_is_not_hopeless),
        cmocka_unit_test(test_head_is_told_what_get_would_be_and_never_upgrades),
        cmocka_unit_test(test_an_origin_is_of_the_host_that_the_request_is_for),
        cmocka_unit_test(test_which_bytes_a_header_name_may_have),
        cmocka_unit_test(test_which_bytes_a_key_may_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
