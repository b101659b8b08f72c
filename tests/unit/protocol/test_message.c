#include "unit.h"

#include "protocol/message.h"

static int parse(const char *text, struct message_in *out)
{
    const char *why = NULL;
    int error = message_parse((const uint8_t *)text, strlen(text), out, &why);
    assert_true((error != 0) == (why != NULL && why[0] != '\0'));
    return error;
}

static void test_parse_join(void **state)
{
    struct message_in message;
    (void)state;
    assert_int_equal(parse("{\"type\":\"join\",\"name\":\"a\",\"resume\":\"t\",\"since\":{"
                           "\"epoch\":\"e\",\"seq\":7},\"x\":[1]}",
                           &message),
                     0);
    assert_int_equal(message.type, MESSAGE_JOIN);
    assert_string_equal(message.name, "a");
    assert_string_equal(message.resume, "t");
    assert_string_equal(message.since_epoch, "e");
    assert_int_equal(message.since_seq, 7);
    message_in_done(&message);
    assert_int_equal(
        parse("{\"type\":\"join\",\"name\":\"a\",\"resume\":null,\"since\":null}", &message), 0);
    assert_null(message.resume);
    assert_null(message.since_epoch);
    message_in_done(&message);
}

static void test_parse_say_counts_characters(void **state)
{
    struct message_in message;
    (void)state;
    assert_int_equal(parse("{\"type\":\"say\",\"text\":\"あ😀e\",\"nonce\":\"n\"}", &message), 0);
    assert_int_equal(message.text_characters, 3);
    assert_int_equal(message.text_len, 8);
    assert_string_equal(message.nonce, "n");
    message_in_done(&message);
}

static void test_parse_bad(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "[]",
                                      "{}",
                                      "{\"type\":5}",
                                      "{\"type\":\"x\"}",
                                      "{\"type\":\"join\"}",
                                      "{\"type\":\"say\",\"text\":\" \\t\\n\"}",
                                      "{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"\"}",
                                      "{\"type\":\"say\",\"text\":\"x\\u0000\"}",
                                      "{\"type\":\"join\",\"name\":\"a\",\"since\":{\"seq\":1}}"};
    struct message_in message;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i], &message), -1);
}

static void test_parse_say_of_nothing_that_can_be_seen_is_bad(void **state)
{
    static const char *const blank[] = {"\u00a0\u3000",       "\u1680",    "\u2003\u2028",
                                        "\u200b\u200d\ufe0f", "\u2800",    "\u3164",
                                        "\U0001d159",         "\U000e0041"};
    static const char *const seen[] = {"\u200dx", "\u0301", "\ue000", "\U0001fae9", "\ufffd"};
    struct message_in message;
    char text[100];
    (void)state;
    for (size_t i = 0; i < sizeof blank / sizeof *blank; i++) {
        snprintf(text, sizeof text, "{\"type\":\"say\",\"text\":\"%s\"}", blank[i]);
        assert_int_equal(parse(text, &message), -1);
    }
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        snprintf(text, sizeof text, "{\"type\":\"say\",\"text\":\"%s\"}", seen[i]);
        assert_int_equal(parse(text, &message), 0);
        message_in_done(&message);
    }
}

static void test_parse_every_cut_is_bad(void **state)
{
    static const char text[] = "{\"type\":\"say\",\"text\":\"hé\",\"nonce\":\"1\"}";
    struct message_in message;
    const char *why;
    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_equal(message_parse((const uint8_t *)text, len, &message, &why), -1);
}

static void test_encode(void **state)
{
    struct text out = TEXT_EMPTY;
    struct message_in say = {.text = "a\"\\\n\x01é", .text_len = 7, .nonce = "n"};
    (void)state;
    char *person = message_person_json(&(struct message_who){"i", "x\"y", "", ""});
    assert_string_equal(person, "{\"id\":\"i\",\"name\":\"x\\\"y\"}");
    message_add_say(&out, person, &say);
    assert_string_equal(out.data, "\"from\":{\"id\":\"i\",\"name\":\"x\\\"y\"},\"text\":"
                                  "\"a\\\"\\\\\\n\\u0001é\",\"nonce\":\"n\"}");
    text_clear(&out);
    message_add_error(&out,
                      &(struct message_error){
                          .code = "c", .message = "m", .suggestion = "s", .retry_after = 1.25});
    assert_string_equal(out.data, "{\"type\":\"error\",\"code\":\"c\",\"message\":\"m\","
                                  "\"suggestion\":\"s\",\"retry_after\":1.2}");
    text_clear(&out);
    message_add_presence(&out, &(struct message_presence){
                                   .seq = 9, .count = 2, .came = 1, .joined = person, .left = ""});
    assert_string_equal(out.data,
                        "{\"type\":\"presence\",\"seq\":9,\"joined\":[{\"id\":\"i\","
                        "\"name\":\"x\\\"y\"}],\"left\":[],\"came\":1,\"went\":0,\"count\":2}");
    free(person);
    text_done(&out);
}

static void test_resumed(void **state)
{
    static const char good[] = "{\"type\":\"resumed\",\"id\":\"12345678901\",\"session\":\"42\"}";
    static const char long_id[] =
        "{\"type\":\"resumed\",\"id\":\"123456789012\",\"session\":\"42\"}";
    struct message_resumed resumed;
    (void)state;
    assert_int_equal(message_parse_resumed(good, sizeof good - 1, &resumed), 0);
    assert_string_equal(resumed.id, "12345678901");
    assert_string_equal(resumed.session, "42");
    assert_int_equal(message_parse_resumed(long_id, sizeof long_id - 1, &resumed), -1);
    assert_int_equal(message_parse_resumed("junk", 4, &resumed), -1);
}

static void test_a_refused_say_has_its_nonce_found(void **state)
{
    static const struct {
        const char *text, *nonce, *why;
    } cases[] = {
        {"{\"type\":\"say\",\"text\":\"\",\"nonce\":\"n1\"}", "n1", "empty"},
        {"{\"type\":\"say\",\"text\":5,\"nonce\":\"n1\"}", "n1", "needs a \"text\""},
        {"{\"type\":\"say\",\"nonce\":\"\\u3042\"}", "あ", "needs a \"text\""},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"n1\",\"epoch\":7}", "n1", "\"epoch\""},
        {"{\"type\":\"say\",\"text\":\"half \\ud83d\",\"nonce\":\"n1\"}", "n1", "half a char"},
        {"{\"type\":\"say\",\"text\":\"\\ude00\",\"nonce\":\"n1\"}", "n1", "half a char"},
        {"{\"type\":\"say\",\"text\":\"a\\u0000b\",\"nonce\":\"n1\"}", "n1", "U+0000"},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"n1\",\"at\":9223372036854775808}", "n1",
         "too big"},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"n1\",\"at\":1e999}", "n1", "too big"},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"n1\"}{}", "n1", "follows"},
        {"{\"type\":\"say\",\"nonce\":\"n1\",\"text\":\"cut", "n1", "not JSON"},
        {"{\"nonce\":\"n1\",\"text\":\"no type\"}", "n1", "\"type\""},
        {"{\"type\":5,\"nonce\":\"n1\",\"text\":\"x\"}", "n1", "\"type\""},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"\"}", NULL, "1 to 64"},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":7}", NULL, "1 to 64"},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"\\u0000\"}", NULL, "U+0000"},
        {"{\"type\":\"say\",\"text\":\"x\",\"nonce\":\"\\ud83d\"}", NULL, "half a char"},
        {"{\"type\":\"say\",\"text\":\"\"}", NULL, "empty"},
        {"{\"type\":\"join\",\"nonce\":\"n1\"}", NULL, "\"name\""},
        {"[\"nonce\",\"n1\"]", NULL, "object"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *data = (const uint8_t *)cases[i].text;
        struct message_in message;
        char nonce[MESSAGE_NONCE_BYTES] = "untouched";
        const char *why = "";
        assert_int_equal(message_parse(data, strlen(cases[i].text), &message, &why), -1);
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].text, why);
        bool found = message_find_nonce(data, strlen(cases[i].text), nonce);
        if (found != (cases[i].nonce != NULL))
            fail_msg("%s", cases[i].text);
        assert_string_equal(nonce, found ? cases[i].nonce : "untouched");
    }
}

static void test_the_longest_nonce_is_found(void **state)
{
    char text[600] = "{\"type\":\"say\",\"nonce\":\"";
    char nonce[MESSAGE_NONCE_BYTES];
    (void)state;
    for (int i = 0; i < MESSAGE_NONCE_CHARACTERS; i++)
        strcat(text, "😀");
    size_t len = strlen(text);
    strcat(text, "\"}");
    assert_true(message_find_nonce((const uint8_t *)text, strlen(text), nonce));
    assert_int_equal(strlen(nonce), MESSAGE_NONCE_BYTES - 1);
    strcpy(text + len, "x\"}");
    assert_false(message_find_nonce((const uint8_t *)text, strlen(text), nonce));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_join),
        cmocka_unit_test(test_parse_say_counts_characters),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_parse_say_of_nothing_that_can_be_seen_is_bad),
        cmocka_unit_test(test_parse_every_cut_is_bad),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_a_refused_say_has_its_nonce_found),
        cmocka_unit_test(test_the_longest_nonce_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
