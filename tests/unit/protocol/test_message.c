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

/* The same, in a form that is left to the full parser. */
static const char *with_space(const char *text)
{
    static char spaced[300];
    snprintf(spaced, sizeof spaced, "%s ", text);
    return spaced;
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
    char *person = message_person_json("i", "x\"y", "");
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
    message_add_presence(&out, &(struct message_presence){9, 2, person, ""});
    assert_string_equal(out.data, "{\"type\":\"presence\",\"seq\":9,\"joined\":[{\"id\":\"i\","
                                  "\"name\":\"x\\\"y\"}],\"left\":[],\"count\":2}");
    free(person);
    text_done(&out);
}

static int read_event(const char *text, struct room_event *out)
{
    return room_event_parse(text, strlen(text), 20, out);
}

/* In our own form and in any other: a space before it sends it to the full parser. */
static void test_a_number_beyond_what_lua_and_browsers_count_is_foreign(void **state)
{
    (void)state;
    static const char *const events[] = {
        " {\"type\":\"message\",\"seq\":4503599627370496,\"at\":1,\"from\":{\"id\":\"a\",\"name\":"
        "\"A\"},"
        "\"text\":\"x\"}",
        " {\"type\":\"message\",\"seq\":1,\"at\":900000000000000000,\"from\":{\"id\":\"a\","
        "\"name\":"
        "\"A\"},\"text\":\"x\"}",
        " {\"type\":\"presence\",\"seq\":4503599627370496,\"joined\":[],\"left\":[],\"count\":1}",
        " {\"type\":\"presence\",\"seq\":1,\"joined\":[],\"left\":[],\"count\":900000000000000000}",
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        struct room_event event;
        assert_int_equal(read_event(events[i], &event), EVENT_FOREIGN);
        assert_int_equal(read_event(events[i] + 1, &event), EVENT_FOREIGN);
    }
}

static void test_event_kinds(void **state)
{
    struct room_event event;
    (void)state;
    assert_int_equal(read_event("{\"type\":\"message\",\"seq\":3,\"at\":5,\"from\":{\"id\":\"i\","
                                "\"name\":\"n\"},\"text\":\"t\"}",
                                &event),
                     0);
    assert_int_equal(event.type, EVENT_MESSAGE);
    assert_int_equal(event.seq, 3);
    room_event_done(&event);
    assert_int_equal(read_event("{\"type\":\"presence\",\"seq\":4,\"joined\":[{\"id\":\"i\","
                                "\"name\":\"n\",\"address\":\"a\"}],\"left\":[],\"count\":1}",
                                &event),
                     0);
    assert_int_equal(event.joined_count, 1);
    assert_string_equal(event.joined[0].json, "{\"id\":\"i\",\"name\":\"n\",\"address\":\"a\"}");
    room_event_done(&event);
    assert_int_equal(read_event("{\"type\":\"notice\",\"text\":\"hi\"}", &event), 0);
    assert_string_equal(event.text, "hi");
    room_event_done(&event);
    assert_int_equal(read_event("back at \"ten\" 十", &event), 0);
    assert_int_equal(event.type, EVENT_NOTICE);
    room_event_done(&event);
}

static void assert_same_persons(const struct message_person *a, const struct message_person *b,
                                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(a[i].id, b[i].id);
        assert_string_equal(a[i].json, b[i].json);
    }
}

static void test_presence_of_ours_is_read_as_the_full_parser_reads_it(void **state)
{
    static const char *const events[] = {
        "{\"type\":\"presence\",\"seq\":4,\"joined\":[{\"id\":\"i\",\"name\":\"n\","
        "\"address\":\"192.0.2.1\"}],\"left\":[],\"count\":1}",
        "{\"type\":\"presence\",\"seq\":5,\"joined\":[],\"left\":[{\"id\":\"i\",\"name\":\"雪\"},"
        "{\"id\":\"j\",\"name\":\"\"}],\"count\":0}",
        "{\"type\":\"presence\",\"seq\":6,\"joined\":[{\"id\":\"i\",\"name\":\"a\\/\\\"\"}],"
        "\"left\":[{\"id\":\"\\u0069\",\"name\":\"n\"}],\"count\":3}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        struct room_event ours;
        struct room_event full;
        assert_int_equal(read_event(events[i], &ours), 0);
        assert_int_equal(read_event(with_space(events[i]), &full), 0);
        assert_int_equal(ours.type, full.type);
        assert_int_equal(ours.seq, full.seq);
        assert_int_equal(ours.count, full.count);
        assert_int_equal(ours.joined_count, full.joined_count);
        assert_int_equal(ours.left_count, full.left_count);
        assert_same_persons(ours.joined, full.joined, full.joined_count);
        assert_same_persons(ours.left, full.left, full.left_count);
        room_event_done(&ours);
        room_event_done(&full);
        for (size_t len = 1; len < strlen(events[i]); len++)
            assert_int_equal(room_event_parse(events[i], len, 20, &ours), EVENT_BAD_JSON);
    }
}

static void test_event_foreign(void **state)
{
    static const struct {
        const char *text;
        int error;
    } cases[] = {
        {"", EVENT_CONTROL},
        {"a\x01", EVENT_CONTROL},
        {"\xff", EVENT_CONTROL},
        {"{", EVENT_BAD_JSON},
        {"{} x", EVENT_BAD_JSON},
        {"  {", EVENT_BAD_JSON},
        {"[1]", EVENT_FOREIGN},
        {"{}", EVENT_FOREIGN},
        {"{\"type\":\"welcome\"}", EVENT_FOREIGN},
        {"{\"type\":\"message\",\"seq\":-1,\"at\":5,\"from\":{\"id\":\"i\",\"name\":\"n\"},"
         "\"text\":\"t\"}",
         EVENT_FOREIGN},
        {"{\"type\":\"message\",\"seq\":0,\"at\":5,\"from\":{\"id\":\"i\",\"name\":\"n\"},\"text\":"
         "\"t\"}",
         EVENT_FOREIGN},
        {"{\"type\":\"message\",\"seq\":1,\"at\":5,\"from\":{\"id\":1,\"name\":\"n\"},\"text\":"
         "\"t\"}",
         EVENT_FOREIGN},
        {"{\"type\":\"presence\",\"seq\":1,\"joined\":[{\"id\":\"a\",\"name\":\"b\"},5],\"left\":[]"
         ",\"count\":1}",
         EVENT_FOREIGN},
        {"{\"type\":\"presence\",\"seq\":1,\"joined\":[{\"id\":\"a\",\"name\":\"b\"}],\"left\":{},"
         "\"count\":1}",
         EVENT_FOREIGN},
        {"{\"type\":\"notice\",\"text\":\"\"}", EVENT_FOREIGN},
        {"a line that is much too long for the limit that this test gives: eighty characters and "
         "more",
         EVENT_TOO_LONG},
    };
    struct room_event event;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_event(cases[i].text, &event), cases[i].error);
}

static void test_resumed(void **state)
{
    static const char good[] = "{\"type\":\"resumed\",\"id\":\"12345678901\",\"session\":\"42\"}";
    static const char long_id[] =
        "{\"type\":\"resumed\",\"id\":\"123456789012\",\"session\":\"42\"}";
    struct message_resumed told;
    (void)state;
    assert_int_equal(message_parse_resumed(good, sizeof good - 1, &told), 0);
    assert_string_equal(told.id, "12345678901");
    assert_string_equal(told.session, "42");
    assert_int_equal(message_parse_resumed(long_id, sizeof long_id - 1, &told), -1);
    assert_int_equal(message_parse_resumed("junk", 4, &told), -1);
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
        cmocka_unit_test(test_a_number_beyond_what_lua_and_browsers_count_is_foreign),
        cmocka_unit_test(test_parse_join),
        cmocka_unit_test(test_parse_say_counts_characters),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_parse_say_of_nothing_that_can_be_seen_is_bad),
        cmocka_unit_test(test_parse_every_cut_is_bad),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_event_kinds),
        cmocka_unit_test(test_event_foreign),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_a_refused_say_has_its_nonce_found),
        cmocka_unit_test(test_the_longest_nonce_is_found),
        cmocka_unit_test(test_presence_of_ours_is_read_as_the_full_parser_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
