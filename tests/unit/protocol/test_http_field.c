#include "unit.h"

#include "protocol/http_field.h"
#include "protocol/http_request.h"

static char buffer[4096];

static int parse_line(const char *line, const char *headers, struct http_request *out)
{
    snprintf(buffer, sizeof buffer, "%s\r\nHost: x\r\n%s\r\n", line, headers);
    return http_request_parse(buffer, strlen(buffer), out);
}

static int parse(const char *headers, struct http_request *out)
{
    return parse_line("GET / HTTP/1.1", headers, out);
}

static void test_a_list_goes_over_all_headers_of_its_name(void **state)
{
    static const char *const expected[] = {"one", "two words", "three", "four"};
    struct http_request request;
    struct http_field_element element;
    (void)state;
    assert_int_equal(
        parse("L: ,one ,, two words\t\r\nM: not\r\nl:\r\nL: , ,\r\nL: three,four,\r\n", &request),
        0);
    struct http_field_walk walk = {.request = &request, .name = "L"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(http_field_next(&walk, &element));
        assert_int_equal(element.len, strlen(expected[i]));
        assert_memory_equal(element.text, expected[i], element.len);
    }
    assert_false(http_field_next(&walk, &element));
    assert_false(http_field_next(&walk, &element));
}

static int weight(const char *value)
{
    char header[200];
    struct http_request request;
    snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", value);
    assert_int_equal(parse(header, &request), 0);
    return http_field_weight(&request, "Accept-Encoding", "gzip");
}

static void test_weights(void **state)
{
    (void)state;
    assert_int_equal(weight("gzip"), 1000);
    assert_int_equal(weight("br, GZIP"), 1000);
    assert_int_equal(weight("gzip;q=1"), 1000);
    assert_int_equal(weight("gzip;q=1.000"), 1000);
    assert_int_equal(weight("gzip ; Q=0.5"), 500);
    assert_int_equal(weight("gzip\t;\tq=0.125,br"), 125);
    assert_int_equal(weight("gzip;q=0"), 0);
    assert_int_equal(weight("gzip; q=0."), 0);
    assert_int_equal(weight("gzip; q=0.000"), 0);
    assert_int_equal(weight("gzip;q=0.001"), 1);
    assert_int_equal(weight(""), -1);
    assert_int_equal(weight("xgzip, gzipx, gzip x, br;q=gzip"), -1);
    assert_int_equal(weight("gzip;q=2, gzip;q=0.3"), 300);
    assert_int_equal(weight("gzip;q="), -1);
    assert_int_equal(weight("gzip;"), -1);
    assert_int_equal(weight("gzip;q=1.001"), -1);
    assert_int_equal(weight("gzip;q=0.1234"), -1);
    assert_int_equal(weight("gzip;q=-1"), -1);
    assert_int_equal(weight("gzip;q=.5"), -1);
    assert_int_equal(weight("gzip;level=9"), -1);
}

static bool prefers(const char *value)
{
    char header[200];
    struct http_request request;
    snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", value);
    assert_int_equal(parse(header, &request), 0);
    return http_field_prefers_gzip(&request);
}

/* RFC 9110 section 12.5.3. */
static void test_who_gets_gzip(void **state)
{
    struct http_request request;
    (void)state;
    assert_int_equal(parse("", &request), 0);
    assert_false(http_field_prefers_gzip(&request));
    assert_false(prefers(""));
    assert_false(prefers("br, deflate"));
    assert_false(prefers("identity"));
    assert_false(prefers("gzip;q=0"));
    assert_false(prefers("gzip; q=0"));
    assert_false(prefers("gzip;q=0, *"));
    assert_false(prefers("*;q=0"));
    assert_false(prefers("gzip;q=0.5, identity"));
    assert_false(prefers("gzip;q=0.5, *;q=0.8"));
    assert_false(prefers("gzip;q=0, identity;q=0"));
    assert_true(prefers("gzip"));
    assert_true(prefers("x-gzip"));
    assert_true(prefers("gzip;q=0.5"));
    assert_true(prefers("deflate, gzip, br, zstd"));
    assert_true(prefers("*"));
    assert_true(prefers("gzip, identity"));
    assert_true(prefers("gzip;q=0.5, identity;q=0.4"));
    assert_true(prefers("gzip;q=0.1, identity;q=0"));
    assert_true(prefers("identity;q=0"));
    assert_true(prefers("gzip;q=0.5, *;q=0"));
    assert_int_equal(parse("Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", &request), 0);
    assert_true(http_field_prefers_gzip(&request));
}

static bool likes_brotli(const char *value)
{
    char header[200];
    struct http_request request;
    snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", value);
    assert_int_equal(parse(header, &request), 0);
    return http_field_prefers_brotli(&request);
}

static void test_who_gets_brotli(void **state)
{
    static const struct {
        const char *value;
        bool likes;
    } cases[] = {
        {"br", true},
        {"BR", true},
        {"gzip, deflate, br, zstd", true},
        {"gzip;q=0.5, br;q=0.5", true},
        {"br;q=0.001", true},
        {"br, identity;q=0.5, *;q=0", true},
        {"", false},
        {"*", false},
        {"gzip", false},
        {"br;q=0", false},
        {"br;q=0.000, gzip", false},
        {"br;q=0.4, gzip;q=0.5", false},
        {"br;q=0.4, identity", false},
        {"br;q=0.1, *", false},
        {"br, *;q=0.5", true},
        {"br;q=2", false},
        {"br;q=", false},
        {"br;", false},
        {"brotli, xbr, b r", false},
        {"gzip;q=br", false},
    };
    struct http_request request;
    (void)state;
    assert_int_equal(parse("", &request), 0);
    assert_false(http_field_prefers_brotli(&request));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (likes_brotli(cases[i].value) != cases[i].likes)
            fail_msg("%s", cases[i].value);
}

static void test_language_that_is_liked_best(void **state)
{
    static const char *const languages[] = {"en", "ja"};
    static const struct {
        const char *value, *language;
    } cases[] = {
        {"ja", "ja"},
        {"JA", "ja"},
        {"ja-JP", "ja"},
        {"ja, en", "ja"},
        {"en, ja", "en"},
        {"ja;q=0.5, en;q=0.5", "ja"},
        {"en;q=0.4, ja-Hira-JP;q=0.5", "ja"},
        {"en, ja;q=0.9", "en"},
        {"ja-JP;q=0.2, en;q=0.5, ja;q=0.8", "ja"},
        {"en;q=0.2, ja ; q=0.25", "ja"},
        {"en;q=0.2, ja-JP ;\tQ=0.25", "ja"},
        {"fr, ja;q=0.1", "ja"},
        {"ja;q=0", "en"},
        {"ja;q=0, ja-JP;q=0.1", "ja"},
        {"", "en"},
        {"*", "en"},
        {"j", "en"},
        {"jav", "en"},
        {"jax-JP", "en"},
        {"ja_JP", "en"},
        {"fr;q=ja", "en"},
        {"ja;q=2", "en"},
        {"ja-JP;q=", "en"},
        {"ja;", "en"},
        {"ja;q=1.5, ja;q=0.5", "ja"},
        {"en;q=0.124, ja-Latn-JP-hepburn-heploc-x-12345678 ; q=0.125", "ja"},
    };
    struct http_request request;
    (void)state;
    assert_int_equal(parse("", &request), 0);
    assert_string_equal(http_field_language(&request, languages, 2), "en");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[200];
        snprintf(header, sizeof header, "Accept-Language: %s\r\n", cases[i].value);
        assert_int_equal(parse(header, &request), 0);
        const char *language = http_field_language(&request, languages, 2);
        if (strcmp(language, cases[i].language) != 0)
            fail_msg("%s: %s", cases[i].value, language);
    }
    assert_int_equal(parse("Accept-Language: fr\r\nAccept-Language: ja;q=0.3\r\n", &request), 0);
    assert_string_equal(http_field_language(&request, languages, 2), "ja");
}

static int body(const char *headers)
{
    struct http_request request;
    int error = parse(headers, &request);
    return error != 0 ? error : request.has_body;
}

static void test_where_a_body_ends_is_sure_or_the_request_is_bad(void **state)
{
    (void)state;
    assert_int_equal(body(""), 0);
    assert_int_equal(body("Content-Length: 0\r\n"), 0);
    assert_int_equal(body("Content-Length: 000\r\n"), 0);
    assert_int_equal(body("Content-Length: 5\r\n"), 1);
    assert_int_equal(body("Content-Length: 99999999999999999999999999\r\n"), 1);
    assert_int_equal(body("Transfer-Encoding: chunked\r\n"), 1);
    assert_int_equal(body("Transfer-Encoding: CHUNKED\r\n"), 1);

    assert_int_equal(body("Content-Length: 0\r\nContent-Length: 43\r\n"), HTTP_REQUEST_BAD);
    assert_int_equal(body("Content-Length: 5\r\nContent-Length: 5\r\n"), HTTP_REQUEST_BAD);
    static const char *const lengths[] = {"",    "0, 0", "5, 5", "+5", "-0",
                                          "0x5", "5 5",  "five", "5;", "\xd9\xa5"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char header[100];
        snprintf(header, sizeof header, "Content-Length: %s\r\n", lengths[i]);
        assert_int_equal(body(header), HTTP_REQUEST_BAD);
    }
    assert_int_equal(body("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), HTTP_REQUEST_BAD);
    assert_int_equal(body("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), HTTP_REQUEST_BAD);
    assert_int_equal(body("Content-Length: 0\r\nTransfer-Encoding: x\r\n"), HTTP_REQUEST_BAD);
    assert_int_equal(body("Transfer-Encoding: chunked, chunked\r\n"), HTTP_REQUEST_BAD);
    assert_int_equal(body("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                     HTTP_REQUEST_BAD);
    assert_int_equal(body("Transfer-Encoding:\r\n"), HTTP_REQUEST_BAD);
    assert_int_equal(body("Transfer-Encoding: gzip, chunked\r\n"), HTTP_REQUEST_CODING);
    assert_int_equal(body("Transfer-Encoding: identity\r\n"), HTTP_REQUEST_CODING);
    assert_int_equal(body("Transfer-Encoding: chunked;q=0\r\n"), HTTP_REQUEST_CODING);
    assert_int_equal(body("Transfer-Encoding: xchunked\r\n"), HTTP_REQUEST_CODING);
    struct http_request request;
    assert_int_equal(parse_line("GET / HTTP/1.0", "Transfer-Encoding: chunked\r\n", &request),
                     HTTP_REQUEST_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_goes_over_all_headers_of_its_name),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_who_gets_gzip),
        cmocka_unit_test(test_who_gets_brotli),
        cmocka_unit_test(test_language_that_is_liked_best),
        cmocka_unit_test(test_where_a_body_ends_is_sure_or_the_request_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
