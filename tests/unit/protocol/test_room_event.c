/* What comes over a room's channel: by the short way, by the full parser, or not at all. */
#include "unit.h"

#include "base/memory.h"
#include "protocol/message.h"
#include "protocol/room_event.h"
#include "redis/script.h"

#include <jansson.h>

/* The same, in a form that is left to the full parser. */
static const char *with_space(const char *text)
{
    static char spaced[300];
    snprintf(spaced, sizeof spaced, "%s ", text);
    return spaced;
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

static void assert_same_json(const char *a, const char *b)
{
    json_t *one = json_loads(a, 0, NULL);
    json_t *other = json_loads(b, 0, NULL);
    assert_non_null(one);
    assert_true(json_equal(one, other));
    json_decref(one);
    json_decref(other);
}

static void assert_same_persons(const struct message_person *a, const struct message_person *b,
                                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(a[i].id, b[i].id);
        assert_same_json(a[i].json, b[i].json);
    }
}

static void test_presence_of_ours_is_read_as_the_full_parser_reads_it(void **state)
{
    static const char *const events[] = {
        "{\"type\":\"presence\",\"seq\":4,\"joined\":[{\"id\":\"i\",\"name\":\"n\","
        "\"address\":\"192.0.2.1\"}],\"left\":[],\"count\":1}",
        "{\"type\":\"presence\",\"seq\":5,\"joined\":[],\"left\":[{\"id\":\"i\",\"name\":\"雪\"},"
        "{\"id\":\"j\",\"name\":\"\"}],\"count\":0}",
        "{\"type\":\"presence\",\"seq\":6,\"joined\":[{\"id\":\"i\",\"name\":\"a\\/\\\"\",\"mark\":"
        "\"Ab_-1234\"},{\"id\":\"k\",\"name\":\"\",\"address\":\"a\",\"mark\":\"m\"}],"
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

/* --- What we write is read without the full parser. The form is taken from the scripts. --- */

struct variable {
    const char *name, *value;
};

/* The text of a script, the prelude before it, from behind `mark` on. */
static char *copy_script_behind(const char *name, const char *mark)
{
    const struct script_source *script = script_sources;
    while (strcmp(script->name, name) != 0)
        script++;
    const char *found = memmem(script->text, script->len, mark, strlen(mark));
    if (found == NULL)
        fail_msg("%s.lua has no \"%s\"", name, mark);
    found += strlen(mark);
    return memory_copy(found, script->len - (size_t)(found - script->text));
}

static void add_operand(struct text *out, const char *operand, const struct variable *variables)
{
    if (operand[0] == '\'') {
        text_add(out, operand + 1, strlen(operand) - 2);
        return;
    }
    while (variables->name != NULL && strcmp(variables->name, operand) != 0)
        variables++;
    if (variables->name == NULL)
        fail_msg("the script adds \"%s\", which this test does not know", operand);
    text_add_string(out, variables->value);
}

/* What the concatenation behind `mark` makes: literals and names, with ".." in between. */
static char *concatenate(const char *name, const char *mark, const struct variable *variables)
{
    struct text out = TEXT_EMPTY;
    char *script = copy_script_behind(name, mark);
    char *at;
    char *word = strtok_r(script, " \n", &at);
    add_operand(&out, word, variables);
    while (strcmp(strtok_r(NULL, " \n", &at), "..") == 0)
        add_operand(&out, strtok_r(NULL, " \n", &at), variables);
    free(script);
    return text_take(&out);
}

/* Takes `json` over. */
static char *lengthen(char *json, const char *script_mark, const char *word, const char *value)
{
    const struct variable words[] = {{"json", json}, {word, value}, {NULL, NULL}};
    char *longer = concatenate("join", script_mark, words);
    free(json);
    return longer;
}

/* As person_json of prelude.lua; the words are as cjson.encode writes them. */
static char *write_person(const char *id, const char *name, const char *address, const char *mark)
{
    const struct variable words[] = {
        {"cjson.encode(id)", id}, {"cjson.encode(name)", name}, {NULL, NULL}};
    char *json = concatenate("join", "    local json = ", words);
    if (address != NULL)
        json = lengthen(json, "public_address ~= '' then\n        json = ",
                        "cjson.encode(public_address)", address);
    if (mark != NULL)
        json = lengthen(json, "mark ~= '' then\n        json = ", "cjson.encode(mark)", mark);
    const struct variable whole[] = {{"json", json}, {NULL, NULL}};
    char *person = concatenate("join", "cjson.encode(mark)\n    end\n    return ", whole);
    free(json);
    return person;
}

/* The full parser leaves its tree in the event. */
static void read_fast(const char *json, struct room_event *out)
{
    if (room_event_parse(json, strlen(json), 0, out) != 0)
        fail_msg("not read: %s", json);
    if (out->root != NULL)
        fail_msg("left to the full parser: %s", json);
}

static void check_message(const struct message_who *who, const char *text, const char *nonce)
{
    const struct message_in say = {.text = text, .text_len = strlen(text), .nonce = nonce};
    struct text body = TEXT_EMPTY;
    struct room_event event;
    char *person = message_person_json(who);
    message_add_say(&body, person, &say);
    const struct variable words[] = {
        {"number", "4503599627370495"}, {"at", "1700000000123"}, {"body", body.data}, {NULL, NULL}};
    char *json =
        concatenate("publish", "local number = digits(seq + 1)\n    local event = ", words);
    read_fast(json, &event);
    assert_int_equal(event.type, EVENT_MESSAGE);
    assert_int_equal(event.seq, 4503599627370495);
    assert_int_equal(event.at_ms, 1700000000123);
    room_event_done(&event);
    free(json);
    free(person);
    text_done(&body);
}

static void test_every_message_that_we_write_is_read_without_the_full_parser(void **state)
{
    (void)state;
    struct message_who who = {"AbC_d-f1234", "a/\"b\" \\ \xe9\x9b\xaa", "", ""};
    check_message(&who, "t", NULL);
    who.mark = "Ab_-1234";
    check_message(&who, "t", NULL);
    who.address = "203.0.113.x";
    check_message(&who, "\xe9\x9b\xaa \xf0\x9f\x98\x80 \x7f", "n-1");
    who.address = "2001:db8:1::/48";
    who.mark = "";
    check_message(&who, "\"quoted\" \\ / \b\t\n\f\r", "\"\\\n/");
}

static void check_presence(const char *joined, const char *left, size_t joined_count,
                           size_t left_count)
{
    const struct variable words[] = {
        {"seq", "7"}, {"joined", joined}, {"left", left}, {"count", "3"}, {NULL, NULL}};
    struct room_event event;
    char *json = concatenate("join", "local seq = digits(last + 1)\n    local event = ", words);
    read_fast(json, &event);
    assert_int_equal(event.type, EVENT_PRESENCE);
    assert_int_equal(event.seq, 7);
    assert_int_equal(event.count, 3);
    assert_int_equal(event.joined_count, joined_count);
    assert_int_equal(event.left_count, left_count);
    for (size_t i = 0; i < joined_count; i++)
        assert_string_equal(event.joined[i].id, "AbC_d-f1234");
    room_event_done(&event);
    free(json);
}

/* cjson.encode writes a "/" as "\/": there is one in each network of IPv6. */
static void test_every_presence_that_we_write_is_read_without_the_full_parser(void **state)
{
    (void)state;
    static const char id[] = "\"AbC_d-f1234\"";
    char *one = write_person(id, "\"\xe9\x9b\xaa\"", "\"203.0.113.x\"", "\"Ab_-1234\"");
    char *other = write_person(id, "\"a\\/\\\"b\\\" \\\\\"", "\"2001:db8:1::\\/48\"", NULL);
    char *marked = write_person(id, "\"n\"", NULL, "\"Ab_-1234\"");
    char *nowhere = write_person(id, "\"n\"", NULL, NULL);
    struct text both = TEXT_EMPTY;
    text_print(&both, "%s,%s", one, other);
    check_presence("", "", 0, 0);
    check_presence(one, "", 1, 0);
    check_presence(marked, "", 1, 0);
    check_presence(both.data, nowhere, 2, 1);
    check_presence("", both.data, 0, 2);
    text_done(&both);
    free(one);
    free(other);
    free(marked);
    free(nowhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_that_we_write_is_read_without_the_full_parser),
        cmocka_unit_test(test_every_presence_that_we_write_is_read_without_the_full_parser),
        cmocka_unit_test(test_presence_of_ours_is_read_as_the_full_parser_reads_it),
        cmocka_unit_test(test_a_number_beyond_what_lua_and_browsers_count_is_foreign),
        cmocka_unit_test(test_event_kinds),
        cmocka_unit_test(test_event_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
