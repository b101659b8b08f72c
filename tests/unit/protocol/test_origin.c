#include "unit.h"

#include "protocol/origin.h"

static void assert_reads(const char *text, const char *expected)
{
    char origin[ORIGIN_BYTES];
    assert_int_equal(origin_read(text, origin), 0);
    assert_string_equal(origin, expected);
}

static void test_an_origin_has_one_form(void **state)
{
    (void)state;
    assert_reads("https://chat.example", "https://chat.example");
    assert_reads("HTTPS://Chat.Example:443", "https://chat.example");
    assert_reads("http://h:80", "http://h");
    assert_reads("http://h:", "http://h");
    assert_reads("http://h:443", "http://h:443");
    assert_reads("http://h:08080", "http://h:8080");
    assert_reads("http://[0::1]:8080", "http://[::1]:8080");
    assert_reads("capacitor://localhost", "capacitor://localhost");
    assert_reads("file://", "file://");
    assert_reads("null", "null");
}

static void test_what_is_no_origin(void **state)
{
    static const char *const bad[] = {
        "",           "h",          "https://",        "https://h/",  "https://h/room",
        "://h",       "1http://h",  "https:/h",        "https://u@h", "https://h https://g",
        "https://h%", "http://a b", "https://h:99999", "https://h?x", "NULL",
        "https:// h", "h:443",      "https://h,g h",   " https://h",  "https://[::1",
    };
    char origin[ORIGIN_BYTES] = "as it was";
    char longest[400] = "https://";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(origin_read(bad[i], origin), -1);
    memset(longest + 8, 'a', 300);
    assert_int_equal(origin_read(longest, origin), -1);
    assert_string_equal(origin, "as it was");
}

static void test_which_origins_are_of_a_host(void **state)
{
    (void)state;
    assert_true(origin_is_of_host("https://h", "h"));
    assert_true(origin_is_of_host("https://h", "h:443"));
    assert_true(origin_is_of_host("http://h", "H:80"));
    assert_true(origin_is_of_host("http://h:8080", "h:8080"));
    assert_true(origin_is_of_host("http://[::1]:8080", "[0:0::1]:8080"));
    assert_false(origin_is_of_host("https://h", "h:80"));
    assert_false(origin_is_of_host("http://h", "h:443"));
    assert_false(origin_is_of_host("https://h:8443", "h"));
    assert_false(origin_is_of_host("https://h", "h.evil"));
    assert_false(origin_is_of_host("https://h.evil", "h"));
    assert_false(origin_is_of_host("file://", ""));
    assert_false(origin_is_of_host("null", "null"));
    assert_false(origin_is_of_host("chrome-extension://h", "h"));
    assert_false(origin_is_of_host("https://h", "h h"));
}

static void assert_told(const char *setting, const char *instead)
{
    char why[400];
    assert_ptr_equal(origin_judge(setting, why, sizeof why), why);
    assert_non_null(strstr(why, instead));
}

static void test_a_setting_that_can_match_nothing_is_refused_with_what_to_write(void **state)
{
    (void)state;
    assert_told("chat.example.com", "; write https://chat.example.com");
    assert_told("localhost:8080", "; write https://localhost:8080");
    assert_told("https://h/", "; write https://h");
    assert_told("https://h/room?x", "; write https://h");
    assert_told("https://h:443", "; write https://h");
    assert_told("http://h:80", "; write http://h");
    assert_told("wss://h", "; write https://h");
    assert_told("ws://h:8080/room", "; write http://h:8080");
    assert_told("http://[0::1]:8080", "; write http://[::1]:8080");
    assert_told("https://*.example.com", "once for each host");
    assert_told("https://m\xc3\xbcnchen.de", "xn--");
    assert_told("https://u@h", "SCHEME://HOST");
    assert_told("", "SCHEME://HOST");
}

static void test_a_setting_that_can_match_is_fine(void **state)
{
    static const char *const fine[] = {"*",
                                       "null",
                                       "file://",
                                       "https://chat.example.com",
                                       "HTTPS://Chat.Example.com",
                                       "http://localhost:8080",
                                       "http://[::1]:8080",
                                       "capacitor://localhost",
                                       "chrome-extension://abcdef"};
    char why[400];
    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_null(origin_judge(fine[i], why, sizeof why));
}

static void test_a_very_long_setting_is_refused_in_one_short_sentence(void **state)
{
    char why[400];
    char longest[480];
    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_non_null(origin_judge(longest, why, sizeof why));
    assert_true(strlen(why) < sizeof why - 1);
    assert_non_null(strstr(why, "SCHEME://HOST"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_origin_has_one_form),
        cmocka_unit_test(test_what_is_no_origin),
        cmocka_unit_test(test_which_origins_are_of_a_host),
        cmocka_unit_test(test_a_setting_that_can_match_nothing_is_refused_with_what_to_write),
        cmocka_unit_test(test_a_setting_that_can_match_is_fine),
        cmocka_unit_test(test_a_very_long_setting_is_refused_in_one_short_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
