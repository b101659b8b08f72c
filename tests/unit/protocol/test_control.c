#include "unit.h"

#include "protocol/control.h"

static struct control parse(const char *json)
{
    struct control control;
    const char *why;
    if (control_parse(json, strlen(json), &control, &why) != 0)
        fail_msg("%s: %s", json, why);
    return control;
}

static void expect_error(const char *json, const char *beginning)
{
    struct control control;
    const char *why = NULL;
    assert_int_equal(control_parse(json, strlen(json), &control, &why), -1);
    assert_non_null(why);
    assert_memory_equal(why, beginning, strlen(beginning));
}

static void test_a_kick_without_for_lasts_not_at_all_and_everything_else_an_hour(void **state)
{
    (void)state;
    struct control kick = parse("{\"do\":\"kick\",\"room\":\"lobby\",\"id\":\"abc\"}");
    assert_int_equal(kick.what, CONTROL_KICK);
    assert_int_equal(kick.by, CONTROL_BY_ID);
    assert_string_equal(kick.whom, "abc");
    assert_int_equal(kick.for_s, 0);
    assert_int_equal(parse("{\"do\":\"lock\",\"room\":\"lobby\"}").for_s, 3600);
    assert_int_equal(parse("{\"do\":\"lock\",\"room\":\"lobby\",\"for\":31536000}").for_s,
                     31536000);
    assert_int_equal(parse("{\"do\":\"slow\",\"room\":\"lobby\"}").every_s, 10);
    assert_int_equal(parse("{\"do\":\"slow\",\"room\":\"lobby\",\"every\":0}").every_s, 0);
}

static void test_a_name_is_folded_and_an_unknown_field_is_ignored(void **state)
{
    (void)state;
    struct control mute = parse(
        "{\"do\":\"mute\",\"room\":\"lobby\",\"name\":\" ALICE \",\"reason\":\"ほら\",\"x\":1}");
    assert_string_equal(mute.whom, "alice");
    assert_string_equal(mute.room, "lobby");
    assert_string_equal(mute.reason, "ほら");
}

static void test_what_is_wrong_is_said(void **state)
{
    (void)state;
    expect_error("", "This is not JSON");
    expect_error("kick alice", "This is not JSON");
    expect_error("[]", "This is not JSON");
    expect_error("{} {}", "This is not JSON");
    expect_error("{\"do\":\"kick\",\"do\":\"lock\"}", "A field is there twice");
    expect_error("{\"for\":99999999999999999999}", "A number is too large");
    expect_error("{\"reason\":\"a\\u0000\"}", "A text has a NUL");
    expect_error("{}", "\"do\" is missing");
    expect_error("{\"do\":7}", "\"do\" is missing");
    expect_error("{\"do\":\"Kick\"}", "This \"do\" is not known");
    expect_error("{\"do\":\"lock\"}", "\"room\" is missing");
    expect_error("{\"do\":\"lock\",\"room\":\"\"}", "\"room\" is no name");
    expect_error("{\"do\":\"lock\",\"room\":\"a{b\"}", "\"room\" is no name");
    expect_error("{\"do\":\"kick\",\"room\":\"a\"}", "Whom");
    expect_error("{\"do\":\"kick\",\"room\":\"a\",\"id\":7}", "Whom");
    expect_error("{\"do\":\"kick\",\"room\":\"a\",\"id\":\"b\",\"address\":\"c\"}", "Whom");
    expect_error("{\"do\":\"kick\",\"room\":\"a\",\"id\":\"\"}", "\"id\" or");
    expect_error("{\"do\":\"kick\",\"room\":\"a\",\"id\":\"abcdefghijkl\"}", "\"id\" or");
    expect_error("{\"do\":\"kick\",\"room\":\"a\",\"name\":\"\"}", "\"name\" is");
    expect_error("{\"do\":\"lock\",\"room\":\"a\",\"for\":0}", "\"for\"");
    expect_error("{\"do\":\"lock\",\"room\":\"a\",\"for\":1.5}", "\"for\"");
    expect_error("{\"do\":\"lock\",\"room\":\"a\",\"for\":31536001}", "\"for\"");
    expect_error("{\"do\":\"slow\",\"room\":\"a\",\"every\":-1}", "\"every\"");
    expect_error("{\"do\":\"lock\",\"room\":\"a\",\"reason\":7}", "\"reason\"");
    expect_error("{\"do\":\"lock\",\"room\":\"a\",\"reason\":\"a\\u0007\"}", "\"reason\"");
}

static void test_a_reason_has_200_characters_and_a_command_4096_bytes(void **state)
{
    char json[CONTROL_BYTES + 64];
    (void)state;
    snprintf(json, sizeof json, "{\"do\":\"lock\",\"room\":\"a\",\"reason\":\"%0200d\"}", 0);
    assert_int_equal(strlen(parse(json).reason), 200);
    snprintf(json, sizeof json, "{\"do\":\"lock\",\"room\":\"a\",\"reason\":\"%0201d\"}", 0);
    expect_error(json, "\"reason\"");
    snprintf(json, sizeof json, "{\"do\":\"lock\",\"room\":\"a\"%*s}", CONTROL_BYTES, "");
    expect_error(json, "A command has at most");
}

/* "clear" with a name would delete what everybody said. */
static void test_what_is_about_the_whole_room_names_nobody(void **state)
{
    static const char *const commands[] = {"slow", "lock", "unlock", "clear"};
    static const char *const fields[] = {"id", "name", "address"};
    char json[128];
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        for (size_t j = 0; j < sizeof fields / sizeof *fields; j++) {
            snprintf(json, sizeof json, "{\"do\":\"%s\",\"room\":\"a\",\"%s\":\"b\"}", commands[i],
                     fields[j]);
            expect_error(json, "This \"do\" is about the whole room");
        }
}

static void test_the_answer_says_what_was_done_or_why_not(void **state)
{
    (void)state;
    struct control mute = parse("{\"do\":\"mute\",\"room\":\"lobby\",\"name\":\"a\\\"b\"}");
    struct text out = TEXT_EMPTY;
    control_add_done(&out, &(struct control_done){"g\"1", &mute, 2, 1700000000000, NULL});
    assert_string_equal(out.data, "{\"gateway\":\"g\\\"1\",\"do\":\"mute\",\"room\":\"lobby\","
                                  "\"name\":\"a\\\"b\",\"members\":2,\"until\":1700000000000}");
    text_clear(&out);
    control_add_done(&out, &(struct control_done){.gateway = "g", .error = "No."});
    assert_string_equal(out.data, "{\"gateway\":\"g\",\"error\":\"No.\"}");
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kick_without_for_lasts_not_at_all_and_everything_else_an_hour),
        cmocka_unit_test(test_a_name_is_folded_and_an_unknown_field_is_ignored),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_a_reason_has_200_characters_and_a_command_4096_bytes),
        cmocka_unit_test(test_what_is_about_the_whole_room_names_nobody),
        cmocka_unit_test(test_the_answer_says_what_was_done_or_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
