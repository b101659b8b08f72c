#include "unit.h"

#include "protocol/authority.h"

static void assert_reads(const char *text, const char *host, int port)
{
    struct authority found;
    assert_int_equal(authority_read(text, strlen(text), &found), 0);
    assert_string_equal(found.host, host);
    assert_int_equal(found.port, port);
}

static void test_host_and_port(void **state)
{
    (void)state;
    assert_reads("h", "h", AUTHORITY_NO_PORT);
    assert_reads("Chat.Example:8080", "chat.example", 8080);
    assert_reads("h:", "h", AUTHORITY_NO_PORT); /* RFC 3986 section 3.2.3 */
    assert_reads("h:0080", "h", 80);
    assert_reads("", "", AUTHORITY_NO_PORT);
    assert_reads(":80", "", 80);
    assert_reads("a_b-c.d~%C3%A9", "a_b-c.d~%c3%a9", AUTHORITY_NO_PORT);
    assert_reads("192.0.2.1:65535", "192.0.2.1", 65535);
}

static void test_an_ipv6_address_is_the_same_however_it_is_written(void **state)
{
    (void)state;
    assert_reads("[::1]", "[::1]", AUTHORITY_NO_PORT);
    assert_reads("[0:0:0:0:0:0:0:1]:80", "[::1]", 80);
    assert_reads("[2001:DB8::A]", "[2001:db8::a]", AUTHORITY_NO_PORT);
}

static void test_what_is_no_host_and_port(void **state)
{
    static const char *const bad[] = {
        "a b",   "a/b",   "u@h",    "h:8x", "h:65536", "h:99999999999999999999",
        "h:1:2", "::1",   "[::1",   "[]",   "[h]",     "[::1]x",
        "[1.2]", "h%",    "h%4",    "h%zz", "h?",      "h#",
        "a\\b",  "a\"b",  "<h>",    "a\tb", "\x7f",    "m\xc3\xbcnchen.de",
        "h: 80", "h:-80", "[::1%1]"};
    char longer[AUTHORITY_HOST_BYTES + 1];
    struct authority untouched = {.host = "as it was", .port = 7};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(authority_read(bad[i], strlen(bad[i]), &untouched), -1);
    memset(longer, 'a', sizeof longer);
    assert_int_equal(authority_read(longer, AUTHORITY_HOST_BYTES, &untouched), -1);
    assert_int_equal(authority_read("a\0b", 3, &untouched), -1);
    assert_string_equal(untouched.host, "as it was");
    assert_int_equal(untouched.port, 7);
    assert_int_equal(authority_read(longer, AUTHORITY_HOST_BYTES - 1, &untouched), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_and_port),
        cmocka_unit_test(test_an_ipv6_address_is_the_same_however_it_is_written),
        cmocka_unit_test(test_what_is_no_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
