#include "unit.h"

#include "protocol/message.h"
#include "protocol/room_event.h"
#include "protocol/scan.h"

static struct scan begin(const char *text)
{
    return scan_begin(text, strlen(text));
}

static void test_words_numbers_strings(void **state)
{
    (void)state;
    struct scan scan = begin("{\"a\":12,\"b\":\"x\\n\xe3\x81\x82\"}");
    scan_expect(&scan, "{\"a\":");
    assert_int_equal(scan_number(&scan), 12);
    assert_false(scan_skip(&scan, "}"));
    assert_true(scan_skip(&scan, ",\"b\":"));
    struct scan_string string = scan_string(&scan, false);
    assert_int_equal(string.len, 6);
    assert_memory_equal(string.data, "x\\n\xe3\x81\x82", 6);
    assert_false(scan_ends(&scan));
    scan_expect(&scan, "}");
    assert_true(scan_ends(&scan));
    assert_false(scan_skip(&scan, "}"));
}

static void test_a_bad_scan_stays_bad(void **state)
{
    (void)state;
    struct scan scan = begin("abc");
    scan_expect(&scan, "b");
    scan_expect(&scan, "");
    assert_int_equal(scan_number(&scan), 0);
    assert_null(scan_string(&scan, false).data);
    assert_false(scan_skip(&scan, "a"));
    assert_false(scan_ends(&scan));
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
        bool good;
    } cases[] = {
        {"0", 0, true},
        {"7", 7, true},
        {"999999999999999999", 999999999999999999, true},
        {"1000000000000000000", 0, false}, /* 19 digits: one is left over */
        {"01", 0, false},
        {"-1", 0, false},
        {"1.0", 0, false},
        {"1e3", 0, false},
        {"", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scan scan = begin(cases[i].text);
        uint64_t number = scan_number(&scan);
        assert_int_equal(scan_ends(&scan), cases[i].good);
        if (cases[i].good)
            assert_int_equal(number, cases[i].number);
    }
}

static void test_strings(void **state)
{
    static const struct {
        const char *text;
        bool good, unescaped;
    } cases[] = {
        {"\"\"", true, true},
        {"\"a\x7f\"", true, true},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", true, false},
        {"\"\xc2\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", true, true},
        {"\"\\u0041\"", false, false},      /* good JSON, but for the full parser */
        {"\"\\x\"", false, false},          /* no such escape */
        {"\"\\", false, false},             /* cut */
        {"\"a", false, false},              /* cut */
        {"a\"", false, false},              /* no quote */
        {"\"\n\"", false, false},           /* control byte */
        {"\"\x80\"", false, false},         /* no first byte */
        {"\"\xc0\xaf\"", false, false},     /* overlong */
        {"\"\xe0\x9f\xbf\"", false, false}, /* overlong */
        {"\"\xed\xa0\x80\"", false, false}, /* surrogate */
        {"\"\xf0\x8f\xbf\xbf\"", false, false},
        {"\"\xf4\x90\x80\x80\"", false, false},
        {"\"\xf5\x80\x80\x80\"", false, false},
        {"\"\xe3\x81\"", false, false}, /* cut by the quote */
        {"\"\xe3\x81", false, false},   /* cut by the end */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scan scan = begin(cases[i].text);
        scan_string(&scan, false);
        assert_int_equal(scan_ends(&scan), cases[i].good);
        scan = begin(cases[i].text);
        scan_string(&scan, true);
        assert_int_equal(scan_ends(&scan), cases[i].unescaped);
    }
}

/* --- The short way and the full parser agree: with a space before it, all goes the full way --- */

static const char *const seeds[] = {
    "{\"type\":\"message\",\"seq\":12,\"at\":1700000000000,\"from\":{\"id\":\"AbC\",\"name\":"
    "\"ボブ\","
    "\"address\":\"10.0.x.x\"},\"text\":\"he\\nllo \xf0\x9f\x98\x80\",\"nonce\":\"n-1\"}",
    "{\"type\":\"message\",\"seq\":1,\"at\":5,\"from\":{\"id\":\"i\",\"name\":\"n\"},\"text\":"
    "\"t\"}",
    "{\"type\":\"say\",\"text\":\"he llo "
    "\xe3\x80\x80\xf0\x9f\x98\x80\",\"nonce\":\"n-1\",\"epoch\":\"e\"}",
    "{\"type\":\"say\",\"text\":\"x\"}",
};

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void check_agreement(const char *spaced, size_t len)
{
    struct room_event event = {0};
    struct room_event full = {0};
    int error = room_event_parse(spaced + 1, len - 1, 0, &event);
    assert_int_equal(error, room_event_parse(spaced, len, 0, &full));
    assert_true(error != 0 ||
                (event.type == full.type && event.seq == full.seq && event.at_ms == full.at_ms));
    room_event_done(&event);
    room_event_done(&full);

    struct message_in in = {0};
    struct message_in full_in = {0};
    const char *why;
    error = message_parse((const uint8_t *)spaced + 1, len - 1, &in, &why);
    assert_int_equal(error, message_parse((const uint8_t *)spaced, len, &full_in, &why));
    assert_true(error != 0 ||
                (in.type == full_in.type && in.text_len == full_in.text_len &&
                 in.text_characters == full_in.text_characters && same(in.text, full_in.text) &&
                 same(in.nonce, full_in.nonce) && same(in.epoch, full_in.epoch)));
    message_in_done(&in);
    message_in_done(&full_in);
}

static void test_agrees_with_the_full_parser(void **state)
{
    static const char bytes[] = "\"\\{}:,0019nu/\x01\x7f\x80\xc3\xed\xf4 ";
    (void)state;
    srand(4);
    for (int round = 0; round < 40000; round++) {
        char text[512] = " ";
        const char *seed = seeds[(size_t)round % (sizeof seeds / sizeof *seeds)];
        size_t len = strlen(seed) + 1;
        memcpy(text + 1, seed, len);
        for (int changes = rand() % 3; changes > 0; changes--) {
            size_t at = 2 + (size_t)rand() % (len - 2);
            if (rand() % 3 == 0) /* one byte less */
                memmove(text + at, text + at + 1, len-- - at);
            else
                text[at] = bytes[(size_t)rand() % (sizeof bytes - 1)];
        }
        check_agreement(text, len);
    }
}

static void test_utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "abc", "\xc3\xa9", "\xe3\x83\x86x", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
    static const char *const bad[] = {"\xff",         "a\xc3",        "\xc0\x80",
                                      "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\x80",         "\xe3\x83",     "\xc3\xc3\xa9\xa9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(scan_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(scan_is_utf8(bad[i], strlen(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_is_what_rfc_3629_says),
        cmocka_unit_test(test_words_numbers_strings),
        cmocka_unit_test(test_a_bad_scan_stays_bad),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_agrees_with_the_full_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
