/* Which path gives what: the page and its files, compressed or as they are, health, metrics. */
#include "unit.h"

#include "http_stage.h"

#define VISITOR "203.0.113.1"

/* --- Paths --- */

static void test_each_path_has_its_answer(void **state)
{
    static const struct {
        const char *target;
        int status;
    } cases[] = {
        {"/", 200},
        {"/?x=1", 200},
        {"http://x", 200},
        {"https://other:8443/healthz?a", 200},
        {"/r/tea", 200},
        {"/r/%E7%8F%88%E7%90%B2", 200},
        {"/%68ealthz", 200},
        {"/healthz", 200},
        {"/heartbeat", 200},
        {"/about", 200},
        {"/offline", 200},
        {"/worker.js", 200},
        {"/api/about", 200},
        {"/r", 404},
        {"/r/", 404},
        {"/r/a/b", 404},
        {"/r/a%20b", 404},
        {"/r/a%2Fb", 404},
        {"/r/123456789012345678901234567890123", 404}, /* 33 characters */
        {"/nothing", 404},
        {"/assets/", 404},
        {"/assets/none.js", 404},
        {"/assets/../healthz", 404},
        {"/..%2fhealthz", 404},
        {"//healthz", 404},
        {"/healthz/", 404},
        {"/rooms", 404},
        {"/%", 400},
        {"/%0", 400},
        {"/%zz", 400},
        {"/a%00b", 400},
        {"/healthz#a", 400},
        {"healthz", 400},
        {"/room", 426},
        {"/room/tea", 426},
        {"/readyz", 503},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage_bytes answer = stage_get(cases[i].target, "");
        if (stage_status(answer) != cases[i].status)
            print_error("%s\n", cases[i].target);
        assert_int_equal(stage_status(answer), cases[i].status);
        assert_string_equal(stage_header(answer, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(stage_header(answer, "Referrer-Policy"), "no-referrer");
    }
}

static void test_other_methods_get_405_and_which_are_answered(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"};
    static const char *const targets[] = {"/", "/healthz", "/nothing", "/room", "/%zz"};
    char request[128];
    (void)state;
    for (size_t i = 0; i < 6 * 5; i++) {
        snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", methods[i / 5],
                 targets[i % 5]);
        struct stage_bytes answer = stage_ask(VISITOR, request);
        assert_int_equal(stage_status(answer), 405);
        assert_string_equal(stage_header(answer, "Allow"), "GET, HEAD");
        assert_false(answer.ended);
    }
}

static void test_options_of_everything_says_which_methods_there_are(void **state)
{
    (void)state;
    struct stage_bytes answer = stage_ask(VISITOR, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(stage_statuses(answer), "204");
    assert_string_equal(stage_header(answer, "Allow"), "GET, HEAD, OPTIONS");
    assert_null(stage_header(answer, "Content-Length")); /* RFC 9110 section 8.6 */
    assert_false(answer.ended);
}

/* --- The page and its files --- */

static void test_the_page_lets_nothing_in_from_elsewhere(void **state)
{
    static const char *const parts[] = {"default-src 'none'", "script-src 'self'",
                                        "base-uri 'none'", "frame-ancestors 'none'"};
    static const char *const targets[] = {"/", "/r/tea"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage_bytes page = stage_get(targets[i], "");
        assert_string_equal(stage_header(page, "Content-Type"), "text/html; charset=utf-8");
        assert_string_equal(stage_header(page, "Cache-Control"), "no-cache");
        const char *policy = stage_header(page, "Content-Security-Policy");
        for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
            assert_non_null(strstr(policy, parts[part]));
    }
}

enum { MAX_FILES = 16, PATH_BYTES = 64 };

/* The paths in quotes that the text has. */
static size_t find_files(struct stage_bytes text, char files[MAX_FILES][PATH_BYTES])
{
    size_t count = 0;
    for (const char *at = text.data; (at = strstr(at, "\"/assets/")) != NULL && count < MAX_FILES;
         at++)
        snprintf(files[count++], PATH_BYTES, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
    return count;
}

static void test_the_page_names_files_that_are_there_and_never_change(void **state)
{
    char files[MAX_FILES][PATH_BYTES];
    (void)state;
    size_t count = find_files(stage_get("/", ""), files);
    assert_true(count >= 3);
    for (size_t i = 0; i < count; i++) {
        struct stage_bytes file = stage_get(files[i], "");
        assert_string_equal(stage_statuses(file), "200");
        assert_string_equal(stage_header(file, "Cache-Control"),
                            "public, max-age=31536000, immutable");
        const char *type = strrchr(files[i], '.');
        const char *expected = strcmp(type, ".js") == 0    ? "text/javascript; charset=utf-8"
                               : strcmp(type, ".css") == 0 ? "text/css; charset=utf-8"
                               : strcmp(type, ".png") == 0 ? "image/png"
                               : strcmp(type, ".svg") == 0 ? "image/svg+xml"
                                                           : "application/manifest+json";
        assert_string_equal(stage_header(file, "Content-Type"), expected);
    }
}

/* --- Encodings --- */

/* As in the trailer of gzip (RFC 1952 section 8). */
static uint32_t find_crc32(const char *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) == 0 ? 0 : 0xedb88320);
    }
    return ~crc;
}

static uint32_t read_u32(const char *data)
{
    uint32_t value = 0;
    for (int i = 3; i >= 0; i--)
        value = value << 8 | (uint8_t)data[i];
    return value;
}

static void test_a_compressed_file_holds_what_the_plain_file_does(void **state)
{
    char files[MAX_FILES][PATH_BYTES];
    (void)state;
    size_t count = find_files(stage_get("/", ""), files);
    snprintf(files[count++], PATH_BYTES, "/");
    for (size_t i = 0; i < count; i++) {
        struct stage_bytes body = stage_body(stage_get(files[i], ""));
        uint32_t crc = find_crc32(body.data, body.len);
        size_t len = body.len;
        struct stage_bytes answer = stage_get(files[i], "Accept-Encoding: gzip\r\n");
        if (strstr(files[i], ".png") != NULL) /* is packed already */
            continue;
        assert_string_equal(stage_header(answer, "Content-Encoding"), "gzip");
        body = stage_body(answer);
        assert_true(body.len > 18 && body.len < len);
        assert_memory_equal(body.data, "\x1f\x8b\x08", 3);
        assert_int_equal(read_u32(body.data + body.len - 8), crc);
        assert_int_equal(read_u32(body.data + body.len - 4), len);
    }
}

static void
test_a_file_comes_compressed_to_who_prefers_that_and_never_to_who_refuses_it(void **state)
{
    static const struct {
        const char *accept;
        bool compressed;
    } cases[] = {
        {"", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: x-gzip\r\n", true},
        {"Accept-Encoding: GZIP ; q=0.001\r\n", true},
        {"Accept-Encoding: br, deflate;q=0.9, gzip;q=0.8\r\n", true},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: identity;q=0\r\n", true},
        {"Accept-Encoding: gzip, identity;q=0.5\r\n", true},
        {"Accept-Encoding: \r\n", false},
        {"Accept-Encoding: br\r\n", false},
        {"Accept-Encoding: identity\r\n", false},
        {"Accept-Encoding: gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.000, *\r\n", false},
        {"Accept-Encoding: *;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.3, identity;q=0.9\r\n", false},
        {"Accept-Encoding: gzip;q=x\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage_bytes answer = stage_get("/", cases[i].accept);
        assert_string_equal(stage_statuses(answer), "200");
        assert_string_equal(stage_header(answer, "Vary"), "Accept-Encoding, Accept-Language");
        if (cases[i].compressed)
            assert_string_equal(stage_header(answer, "Content-Encoding"), "gzip");
        else
            assert_null(stage_header(answer, "Content-Encoding"));
    }
}

/* --- Health and metrics --- */

static void test_health_needs_no_redis_and_readiness_does(void **state)
{
    (void)state;
    struct stage_bytes health = stage_get("/healthz", "");
    assert_string_equal(stage_statuses(health), "200");
    assert_string_equal(stage_body(health).data, "OK\n");
    struct stage_bytes readiness = stage_get("/readyz", "");
    assert_string_equal(stage_statuses(readiness), "503");
    assert_string_equal(stage_header(readiness, "Retry-After"), "5");
    assert_string_equal(stage_header(readiness, "Cache-Control"), "no-store");
    assert_non_null(strstr(stage_body(readiness).data, "Redis"));
}

static struct stage_bytes ask_metrics(const char *address, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    return stage_ask(address, request);
}

static void test_metrics_have_two_forms(void **state)
{
    (void)state;
    struct stage_bytes metrics = ask_metrics("127.0.0.1", "/metrics");
    assert_string_equal(stage_statuses(metrics), "200");
    assert_string_equal(stage_header(metrics, "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(stage_header(metrics, "Cache-Control"), "no-store");
    assert_non_null(strstr(stage_body(metrics).data, "\nyukizuri_connections 0\n"));
    struct stage_bytes stats = ask_metrics("127.0.0.1", "/api/stats");
    assert_string_equal(stage_statuses(stats), "200");
    assert_string_equal(stage_header(stats, "Content-Type"), "application/json");
    assert_string_equal(stage_header(stats, "Yukizuri-Gateway"), "stage");
    assert_int_equal(stage_body(stats).data[0], '{');
    assert_non_null(strstr(stage_body(stats).data, ",\"gateways\":{},"));
}

static void test_only_operators_may_read_metrics(void **state)
{
    static const char *const targets[] = {"/metrics", "/api/stats", "/status"};
    static const struct {
        const char *address;
        int status;
    } cases[] = {{"192.0.2.7", 200}, {"2001:db8::7", 200}, {"127.0.0.1", 403}, {VISITOR, 403}};
    (void)state;
    stage_open_with("--ops-allow", "192.0.2.0/24, 2001:db8::/32", NULL);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++)
            assert_int_equal(stage_status(ask_metrics(cases[j].address, targets[i])),
                             cases[j].status);
}

static void test_each_answer_is_counted(void **state)
{
    char expected[64];
    (void)state;
    for (int i = 1; i < 5; i++) {
        snprintf(expected, sizeof expected, "\nyukizuri_http_requests_total %d\n", 3 * i - 1);
        stage_get("/", "");
        stage_get("/nothing", "");
        assert_non_null(strstr(ask_metrics("127.0.0.1", "/metrics").data, expected));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_path_has_its_answer),
        TEST(test_other_methods_get_405_and_which_are_answered),
        TEST(test_options_of_everything_says_which_methods_there_are),
        TEST(test_the_page_lets_nothing_in_from_elsewhere),
        TEST(test_the_page_names_files_that_are_there_and_never_change),
        TEST(test_a_compressed_file_holds_what_the_plain_file_does),
        TEST(test_a_file_comes_compressed_to_who_prefers_that_and_never_to_who_refuses_it),
        TEST(test_health_needs_no_redis_and_readiness_does),
        TEST(test_metrics_have_two_forms),
        TEST(test_only_operators_may_read_metrics),
        TEST(test_each_answer_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
