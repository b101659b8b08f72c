#include "unit.h"

#include "config/address.h"

#include <arpa/inet.h>

static struct address parse(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address;
}

static void assert_formats(const char *text, const char *expected)
{
    char out[ADDRESS_TEXT_BYTES];
    struct address address = parse(text);
    address_format(&address, out);
    assert_string_equal(out, expected);
}

static void test_parse_good(void **state)
{
    (void)state;
    assert_formats("192.0.2.1", "192.0.2.1");
    assert_formats(" 192.0.2.1:8080 ", "192.0.2.1");
    assert_formats("2001:DB8::1", "2001:db8::1");
    assert_formats("[2001:db8::1]:443", "2001:db8::1");
    assert_formats("[::1]", "::1");
    assert_formats("::ffff:192.0.2.7", "192.0.2.7");
    assert_formats("::ffff:c000:207", "192.0.2.7");
    assert_formats("[::FFFF:192.0.2.7]:80", "192.0.2.7");
    assert_formats("fe80::1%eth0", "fe80::1");
    assert_formats("[fe80::1%en-0.5]:80", "fe80::1");
    assert_formats("192.0.2.7:_hidden", "192.0.2.7");
}

static void test_parse_bad(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "x",
                                      "192.0.2",
                                      "192.0.2.256",
                                      "[::1",
                                      "[::1]x",
                                      "1.2.3.4.5",
                                      "unknown",
                                      "_hidden",
                                      "1.2.3.4 5",
                                      "::1::",
                                      "1.2.3.4:",
                                      "1.2.3.4:x",
                                      "[::1]:",
                                      "[::1]:x",
                                      "1.2.3.4:123456",
                                      "fe80::1%",
                                      "fe80::1%a b",
                                      "1.2.3.4%eth0",
                                      "[fe80::1%]:80",
                                      "1.2.3.4:_",
                                      "1.2.3.4:_a b",
                                      "%eth0"};
    (void)state;
    struct address address;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(address_parse(bad[i], strlen(bad[i]), &address), -1);
    char long_text[200];
    memset(long_text, '1', sizeof long_text);
    assert_int_equal(address_parse(long_text, sizeof long_text, &address), -1);
}

static bool in(const char *address, const char *block)
{
    struct address_block parsed;
    struct address candidate = parse(address);
    assert_int_equal(address_block_parse(block, &parsed), 0);
    return address_in_block(&candidate, &parsed);
}

static void test_block_edges(void **state)
{
    (void)state;
    assert_true(in("10.255.255.255", "10.0.0.0/8"));
    assert_false(in("11.0.0.0", "10.0.0.0/8"));
    assert_true(in("192.0.2.127", "192.0.2.0/25"));
    assert_false(in("192.0.2.128", "192.0.2.0/25"));
    assert_true(in("192.0.2.1", "192.0.2.1"));
    assert_true(in("1.2.3.4", "0.0.0.0/0"));
    assert_false(in("2001:db8::1", "0.0.0.0/0"));
    assert_true(in("2001:db8:ffff::1", "2001:db8::/32"));
    assert_false(in("2001:db9::1", "2001:db8::/32"));
    assert_true(in("1.2.3.4", "::/0"));
}

static void test_block_bad(void **state)
{
    static const char *const bad[] = {"",       "/",           "10.0.0.0/",   "10.0.0.0/33",
                                      "::/129", "10.0.0.0/-1", "10.0.0.0/8x", "x/8"};
    (void)state;
    struct address_block block;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(address_block_parse(bad[i], &block), -1);
}

static void assert_shows(const char *text, enum address_show show, const char *expected)
{
    static const uint8_t key[32] = {1};
    char out[ADDRESS_TEXT_BYTES];
    struct address address = parse(text);
    address_display(&address, show, key, 0, out);
    assert_string_equal(out, expected);
}

static void test_display(void **state)
{
    static const uint8_t key[32] = {1};
    char today[ADDRESS_TEXT_BYTES];
    char tomorrow[ADDRESS_TEXT_BYTES];
    struct address address = parse("203.0.113.7");
    (void)state;
    assert_shows("203.0.113.7", ADDRESS_FULL, "203.0.113.7");
    assert_shows("203.0.113.7", ADDRESS_MASKED, "203.0.113.x");
    assert_shows("2001:db8:aaaa:bbbb::7", ADDRESS_MASKED, "2001:db8:aaaa::/48");
    assert_shows("203.0.113.7", ADDRESS_OFF, "");
    address_display(&address, ADDRESS_CLOAK, key, 1, today);
    address_display(&address, ADDRESS_CLOAK, key, 2, tomorrow);
    assert_int_equal(strlen(today), 8);
    assert_string_not_equal(today, tomorrow);
}

static void mark_of(const char *text, const uint8_t key[32], char out[ADDRESS_MARK_BYTES])
{
    struct address address = parse(text);
    address_mark(&address, key, out);
}

static void assert_one_mark(bool one, const char *left, const char *right)
{
    static const uint8_t key[32] = {1};
    char marks[2][ADDRESS_MARK_BYTES];
    mark_of(left, key, marks[0]);
    mark_of(right, key, marks[1]);
    assert_int_equal(strlen(marks[0]), ADDRESS_MARK_BYTES - 1);
    assert_int_equal(strcmp(marks[0], marks[1]) == 0, one);
}

static void test_mark_is_of_the_unit_in_which_addresses_are_given_out(void **state)
{
    (void)state;
    assert_one_mark(true, "203.0.113.7", "203.0.113.7");
    assert_one_mark(true, "203.0.113.7", "::ffff:203.0.113.7");
    assert_one_mark(false, "203.0.113.7", "203.0.113.8");
    assert_one_mark(true, "2001:db8:1:2:3::1", "2001:db8:1:2:ffff::9");
    assert_one_mark(false, "2001:db8:1:2::1", "2001:db8:1:3::1");
}

static void test_mark_changes_with_the_key_and_is_no_cloak_word(void **state)
{
    static const uint8_t keys[2][32] = {{1}, {2}};
    char marks[2][ADDRESS_MARK_BYTES];
    char word[ADDRESS_TEXT_BYTES];
    struct address address = parse("203.0.113.7");
    (void)state;
    for (size_t i = 0; i < 2; i++)
        mark_of("203.0.113.7", keys[i], marks[i]);
    assert_string_not_equal(marks[0], marks[1]);
    for (int64_t day = 0; day < 40000; day += 100) {
        address_display(&address, ADDRESS_CLOAK, keys[0], day, word);
        assert_string_not_equal(word, marks[0]);
    }
}

static void test_an_address_that_is_not_known_has_no_mark(void **state)
{
    static const uint8_t key[32] = {1};
    const struct address local = {.local_socket = true};
    char mark[ADDRESS_MARK_BYTES] = "x";
    (void)state;
    address_mark(&local, key, mark);
    assert_string_equal(mark, "");
}

static void test_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {{"127.0.0.1", true},        {"127.255.0.9", true}, {"::1", true},
                 {"::ffff:127.0.0.1", true}, {"128.0.0.1", false},  {"::2", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address address = parse(cases[i].text);
        assert_int_equal(address_is_loopback(&address), cases[i].loopback);
    }
}

static void test_unit_is_64_bits_of_ipv6(void **state)
{
    (void)state;
    struct address a = parse("2001:db8:1:2:3::1");
    struct address b = parse("2001:db8:1:2:ffff::9");
    a = address_unit(&a);
    b = address_unit(&b);
    assert_memory_equal(a.bytes, b.bytes, 16);
    struct address v4 = parse("192.0.2.9");
    struct address unit = address_unit(&v4);
    assert_memory_equal(unit.bytes, v4.bytes, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_good),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_block_edges),
        cmocka_unit_test(test_block_bad),
        cmocka_unit_test(test_display),
        cmocka_unit_test(test_mark_is_of_the_unit_in_which_addresses_are_given_out),
        cmocka_unit_test(test_mark_changes_with_the_key_and_is_no_cloak_word),
        cmocka_unit_test(test_an_address_that_is_not_known_has_no_mark),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_unit_is_64_bits_of_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
