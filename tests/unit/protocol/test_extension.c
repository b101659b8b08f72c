#include "unit.h"

#include "protocol/extension.h"
#include "protocol/http_request.h"

#define BASE "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static char buffer[4096];
static char answer[EXTENSION_ANSWER_BYTES];

/* With these header lines; a line ends with \r\n. */
static int negotiate_lines(const char *lines)
{
    struct http_request request;
    snprintf(buffer, sizeof buffer, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", lines);
    assert_int_equal(http_request_parse(buffer, strlen(buffer), &request), 0);
    memset(answer, 0, sizeof answer);
    return extension_negotiate(&request, answer);
}

static int negotiate(const char *value)
{
    char line[2048];
    snprintf(line, sizeof line, "Sec-WebSocket-Extensions: %s\r\n", value);
    return negotiate_lines(line);
}

static void assert_accepted(const char *value, const char *expected)
{
    if (negotiate(value) != 1)
        fail_msg("%s is not accepted", value);
    assert_string_equal(answer, expected);
}

static void assert_result(const char *value, int expected)
{
    int result = negotiate(value);
    if (result != expected)
        fail_msg("%s gives %d, not %d", value, result, expected);
    assert_string_equal(answer, "");
}

static void test_what_browsers_offer_is_accepted_without_takeover(void **state)
{
    (void)state;
    assert_accepted("permessage-deflate; client_max_window_bits", BASE);
    assert_accepted("permessage-deflate", BASE);
    assert_accepted("permessage-deflate;client_no_context_takeover ;\tserver_no_context_takeover",
                    BASE);
    assert_accepted("permessage-deflate; client_max_window_bits=8", BASE);
    assert_accepted("permessage-deflate; client_max_window_bits = \"1\\0\"", BASE);
}

static void test_a_window_of_9_to_15_bits_is_kept(void **state)
{
    char offer[80];
    (void)state;
    for (int bits = 9; bits <= 15; bits++) {
        snprintf(offer, sizeof offer, "permessage-deflate; server_max_window_bits=%d", bits);
        assert_accepted(offer, BASE "; server_max_window_bits=9");
    }
    assert_result("permessage-deflate; server_max_window_bits=8", 0);
}

static void test_the_first_of_several_good_offers_is_taken(void **state)
{
    (void)state;
    assert_accepted("permessage-deflate, permessage-deflate; server_max_window_bits=10", BASE);
    assert_accepted("permessage-deflate; server_max_window_bits=10, permessage-deflate",
                    BASE "; server_max_window_bits=9");
}

static void test_a_bad_parameter_declines_its_offer_alone(void **state)
{
    static const char *const bad[] = {
        "server_no_context_takeover=1",
        "client_no_context_takeover=\"x\"",
        "server_max_window_bits",
        "server_max_window_bits=16",
        "server_max_window_bits=7",
        "server_max_window_bits=010",
        "server_max_window_bits=1e1",
        "server_max_window_bits=1000000000000000000000000000000000000000000000000000010",
        "client_max_window_bits=0",
        "client_max_window_bits=16",
        "client_max_window_bits=nine",
        "client_max_window_bits; client_max_window_bits",
        "server_no_context_takeover; client_max_window_bits; server_no_context_takeover",
        "mux",
        "Client_max_window_bits",
        "client_max_window_bits_and_a_name_that_is_longer_than_any_that_is_known",
    };
    char offers[300];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(offers, sizeof offers, "permessage-deflate; %s", bad[i]);
        assert_result(offers, 0);
        snprintf(offers, sizeof offers,
                 "permessage-deflate; %s, permessage-deflate; server_max_window_bits=12", bad[i]);
        assert_accepted(offers, BASE "; server_max_window_bits=9");
    }
}

static void test_other_extensions_are_declined(void **state)
{
    (void)state;
    assert_result("", 0);
    assert_result(" , ,", 0);
    assert_result("x-webkit-deflate-frame", 0);
    assert_result("permessage-bzip2; level=9; permessage-deflate", 0);
    assert_accepted("foo; bar=\"permessage-deflate\", ,permessage-deflate", BASE);
    assert_int_equal(negotiate_lines(""), 0);
}

static void test_offers_may_stand_on_several_lines(void **state)
{
    (void)state;
    assert_int_equal(negotiate_lines("Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Key: x\r\n"
                                     "sec-websocket-extensions: permessage-deflate\r\n"),
                     1);
    assert_string_equal(answer, BASE);
    assert_int_equal(negotiate_lines("Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                     "Sec-WebSocket-Extensions: foo;\r\n"),
                     HTTP_REQUEST_BAD);
}

static void test_what_is_no_list_of_extensions_is_malformed(void **state)
{
    static const char *const bad[] = {
        ";",
        "=",
        "foo;",
        "foo; ;bar",
        "foo bar",
        "foo;bar baz",
        "foo;bar=",
        "foo;bar=,baz",
        "foo;=bar",
        "foo;bar=\"\"",
        "foo;bar=\"a b\"",
        "foo;bar=\"a",
        "foo;bar=\"a\\",
        "foo;bar=\"a\\\"\"",
        "foo;bar=\"a\"b",
        "foo;bar=a\"b\"",
        "foo;bar=\"a,b\"",
        "fo(o",
        "foo;b@r",
        "f\xc3\xb6\xc3\xb6",
        "permessage-deflate, \"foo\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_result(bad[i], HTTP_REQUEST_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_browsers_offer_is_accepted_without_takeover),
        cmocka_unit_test(test_a_window_of_9_to_15_bits_is_kept),
        cmocka_unit_test(test_the_first_of_several_good_offers_is_taken),
        cmocka_unit_test(test_a_bad_parameter_declines_its_offer_alone),
        cmocka_unit_test(test_other_extensions_are_declined),
        cmocka_unit_test(test_offers_may_stand_on_several_lines),
        cmocka_unit_test(test_what_is_no_list_of_extensions_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
