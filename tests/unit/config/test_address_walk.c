#include "unit.h"

#include "config/address_walk.h"

static struct address parse(const char *text)
{
    struct address address = {.local_socket = true};
    if (strcmp(text, "unix") != 0) {
        address.local_socket = false;
        assert_int_equal(address_parse(text, strlen(text), &address), 0);
    }
    return address;
}

/* Trusted are 10.0.0.0/8 and 2001:db8::/32. */
static void assert_walks_by(bool (*walk)(struct address_walk *, const char *), const char *peer,
                            const char *list, const char *expected, bool known)
{
    struct address_block trusted[2];
    char out[ADDRESS_TEXT_BYTES];
    address_block_parse("10.0.0.0/8", &trusted[0]);
    address_block_parse("2001:db8::/32", &trusted[1]);
    struct address_walk walked = {trusted, 2, parse(peer)};
    bool got = walk(&walked, list);
    address_format(&walked.at, out);
    if (strcmp(out, expected) != 0 || got != known)
        fail_msg("%s from %s: %s (%s), not %s", list, peer, out, got ? "known" : "unknown",
                 expected);
}

static void assert_walks(const char *peer, const char *list, const char *expected)
{
    assert_walks_by(address_walk_list, peer, list, expected, true);
}

static void assert_ends(const char *peer, const char *list, const char *expected)
{
    assert_walks_by(address_walk_list, peer, list, expected, false);
}

static void test_list_is_walked_from_the_right_past_trusted_proxies(void **state)
{
    (void)state;
    assert_walks("10.0.0.1", "1.1.1.1", "1.1.1.1");
    assert_walks("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1");
    assert_walks("10.0.0.1", "6.6.6.6, 1.1.1.1 , 10.2.2.2,2001:db8::5", "1.1.1.1");
    assert_walks("10.0.0.1", "junk, 1.1.1.1", "1.1.1.1");
    assert_walks("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2");
    assert_walks("::ffff:10.0.0.1", "6.6.6.6, 1.1.1.1, ::ffff:10.0.0.2", "1.1.1.1");
    assert_walks("unix", "1.1.1.1", "1.1.1.1");
    assert_ends("203.0.113.9", "1.1.1.1", "203.0.113.9");
}

static void test_list_may_have_empty_entries_ports_brackets_and_zones(void **state)
{
    (void)state;
    assert_walks("10.0.0.1", "1.1.1.1,", "1.1.1.1"); /* RFC 9110 section 5.6.1 */
    assert_walks("10.0.0.1", "1.1.1.1, , 10.0.0.3,\t,", "1.1.1.1");
    assert_walks("10.0.0.1", ",1.1.1.1", "1.1.1.1");
    assert_walks("10.0.0.1", "1.1.1.1:4711", "1.1.1.1");
    assert_walks("10.0.0.1", "[2002::7]:4711, 10.0.0.3:80", "2002::7");
    assert_walks("10.0.0.1", "[2002::7]", "2002::7");
    assert_walks("10.0.0.1", "fe80::1%eth0", "fe80::1");
    assert_walks("10.0.0.1", "6.6.6.6, fe80::1%eth0", "fe80::1");
    assert_walks("10.0.0.1", "::ffff:1.1.1.1", "1.1.1.1");
}

static void test_list_ends_where_nobody_is_named_and_then_the_client_is_not_known(void **state)
{
    (void)state;
    assert_ends("10.0.0.1", "", "10.0.0.1");
    assert_ends("10.0.0.1", ",,,", "10.0.0.1");
    assert_ends("10.0.0.1", " \t, ,", "10.0.0.1");
    assert_ends("10.0.0.1", "unknown", "10.0.0.1");
    assert_ends("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1");
    assert_ends("10.0.0.1", "1.1.1.1, unknown, 10.0.0.3", "10.0.0.3");
    assert_ends("10.0.0.1", "1.1.1.1, junk, 10.0.0.3", "10.0.0.3");
    assert_ends("10.0.0.1", "1.1.1.1, _hidden, 10.0.0.3", "10.0.0.3");
    assert_ends("10.0.0.1", "1.1.1.1:port", "10.0.0.1");
    assert_ends("10.0.0.1", "\"1.1.1.1\"", "10.0.0.1");
    assert_ends("unix", "", "local");
}

/* --- Forwarded: RFC 7239 --- */

static void assert_told(const char *list, const char *expected)
{
    assert_walks_by(address_walk_forwarded, "10.0.0.1", list, expected, true);
}

static void assert_not_told(const char *list, const char *expected)
{
    assert_walks_by(address_walk_forwarded, "10.0.0.1", list, expected, false);
}

static void test_forwarded_names_the_client_in_for(void **state)
{
    (void)state;
    assert_told("for=1.1.1.1", "1.1.1.1");
    assert_told("For=\"[2002:db8:cafe::17]:4711\"", "2002:db8:cafe::17");
    assert_told("for=1.1.1.1;proto=http;by=203.0.113.43", "1.1.1.1");
    assert_told("by=203.0.113.43; proto=https ;FOR=1.1.1.1", "1.1.1.1");
    assert_told("for=6.6.6.6, for=1.1.1.1", "1.1.1.1");
    assert_told("for=6.6.6.6, for=1.1.1.1, for=10.0.0.2", "1.1.1.1");
    assert_told("for=6.6.6.6,for=1.1.1.1,,for=\"[2001:db8::5]\"", "1.1.1.1");
    assert_told("for=\"1.1.1.1:_port\"", "1.1.1.1");
    assert_told("for=1.1.1.1:80", "1.1.1.1"); /* a quote is missing, as it often is */
    assert_told("for=1.1.1.1;ext=\"a, for=6.6.6.6; b\"", "1.1.1.1");
    assert_told("for=1.1.1.1;ext=\"a\\\", for=6.6.6.6\"", "1.1.1.1");
    assert_told("for=1.1.1.1;ext=\"\\\\\"", "1.1.1.1");
    assert_told("for=1.1.1.1;ext=\"a\\\\\\\", for=6.6.6.6\"", "1.1.1.1");
}

static void test_forwarded_ends_where_nobody_is_named(void **state)
{
    (void)state;
    assert_not_told("", "10.0.0.1");
    assert_not_told("for=unknown", "10.0.0.1");
    assert_not_told("for=_gazonk", "10.0.0.1");
    assert_not_told("for=\"_gazonk\"", "10.0.0.1");
    assert_not_told("for=6.6.6.6, for=unknown", "10.0.0.1");
    assert_not_told("for=6.6.6.6, for=unknown, for=10.0.0.2", "10.0.0.2");
    assert_not_told("for=6.6.6.6, proto=https", "10.0.0.1");
    assert_not_told("for=6.6.6.6;for=1.1.1.1", "10.0.0.1");
    assert_not_told("for=", "10.0.0.1");
    assert_not_told("for=\"\"", "10.0.0.1");
    assert_not_told("for=\"", "10.0.0.1");
    assert_not_told("for =1.1.1.1", "10.0.0.1");
    assert_not_told("xfor=1.1.1.1", "10.0.0.1");
    assert_not_told("1.1.1.1", "10.0.0.1");
    assert_not_told("for=\"1.1.1.1", "10.0.0.1");
    assert_not_told("for=\"1.1.1\\.1\"", "10.0.0.1");
    assert_not_told("\\\\\"", "10.0.0.1");
}

/* The client's own header comes first, and the proxy adds the rest. */
static void test_a_client_cannot_take_in_what_the_proxy_adds(void **state)
{
    static const char *const begun[] = {
        "for=\"",       "for=6.6.6.6;x=\"", "for=6.6.6.6;x=\"\\", "for=6.6.6.6;x=\"a\\\"",
        "\\",           "x=\"\"\"",         "for=6.6.6.6;",       ";;=,\"",
        "for=\"6.6.6.6"};
    static const char *const added[] = {
        "for=1.1.1.1", "for=\"1.1.1.1:80\";proto=https", "proto=https;for=\"1.1.1.1\"",
        "for=1.1.1.1;host=\"chat.example.org\"", "for=1.1.1.1;host=\"\""};
    (void)state;
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        for (size_t j = 0; j < sizeof added / sizeof *added; j++) {
            char list[200];
            snprintf(list, sizeof list, "%s, %s", begun[i], added[j]);
            assert_told(list, "1.1.1.1");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_walked_from_the_right_past_trusted_proxies),
        cmocka_unit_test(test_list_may_have_empty_entries_ports_brackets_and_zones),
        cmocka_unit_test(test_list_ends_where_nobody_is_named_and_then_the_client_is_not_known),
        cmocka_unit_test(test_forwarded_names_the_client_in_for),
        cmocka_unit_test(test_forwarded_ends_where_nobody_is_named),
        cmocka_unit_test(test_a_client_cannot_take_in_what_the_proxy_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
