#include "unit.h"

#include "history/presence_batch.h"
#include "protocol/message.h"
#include "room/roster.h"

static void apply(struct roster *roster, const char *json)
{
    struct room_event event;
    assert_int_equal(room_event_parse(json, strlen(json), 0, &event), 0);
    roster_apply(roster, &event);
    room_event_done(&event);
}

static void test_events_twice_change_nothing(void **state)
{
    static const char come[] = "{\"type\":\"presence\",\"seq\":1,\"joined\":[{\"id\":\"a\","
                               "\"name\":\"A\"}],\"left\":[],\"count\":1}";
    static const char go[] = "{\"type\":\"presence\",\"seq\":2,\"joined\":[],\"left\":[{\"id\":"
                             "\"a\",\"name\":\"A\"}],\"count\":0}";
    struct roster *roster = roster_new();
    (void)state;
    apply(roster, come);
    apply(roster, come);
    assert_int_equal(roster_count(roster), 1);
    assert_string_equal(roster_list(roster, "a", "{}"), "{\"id\":\"a\",\"name\":\"A\"}");
    apply(roster, go);
    apply(roster, go);
    assert_string_equal(roster_list(roster, "me", "{me}"), "{me}");
    roster_free(roster);
}

static void test_holds_at_most_so_many(void **state)
{
    struct roster *roster = roster_new();
    char id[12];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "%d", i);
        struct message_person person = {(char[]){"x"}, id};
        roster_apply(roster, &(struct room_event){
                                 .joined = &person, .joined_count = 1, .count = (uint64_t)i + 1});
    }
    assert_false(roster_is_incomplete(roster));
    assert_int_equal(strlen(roster_list(roster, "0", "x")), ROSTER_MOST * 2 - 1);
    const char *list = roster_list(roster, "999", "me");
    assert_int_equal(strlen(list), ROSTER_MOST * 2);
    assert_string_equal(list + strlen(list) - 3, ",me");
    assert_int_equal(strlen(roster_list(roster, "0", "x")), ROSTER_MOST * 2 - 1);
    apply(roster, "{\"type\":\"presence\",\"seq\":2,\"joined\":[],\"left\":[{\"id\":\"5\",\"name\":"
                  "\"A\"}],\"count\":999}");
    assert_true(roster_is_incomplete(roster));
    roster_free(roster);
}

static void add_event(struct presence_batch *batch, const char *json)
{
    struct room_event event;
    assert_int_equal(room_event_parse(json, strlen(json), 0, &event), 0);
    presence_batch_add(batch, &event);
    room_event_done(&event);
}

static void test_batch_leaves_out_who_came_and_went(void **state)
{
    struct presence_batch *batch = presence_batch_new();
    struct text out = TEXT_EMPTY;
    (void)state;
    add_event(batch,
              "{\"type\":\"presence\",\"seq\":1,\"joined\":[{\"id\":\"a\",\"name\":\"A\"},{\"id\":"
              "\"b\",\"name\":\"B\"}],\"left\":[],\"count\":2}");
    add_event(batch,
              "{\"type\":\"presence\",\"seq\":2,\"joined\":[],\"left\":[{\"id\":\"a\",\"name\":"
              "\"A\"},{\"id\":\"c\",\"name\":\"C\"}],\"count\":1}");
    assert_true(presence_batch_is_open(batch));
    presence_batch_write(batch, &out);
    assert_string_equal(
        out.data, "{\"type\":\"presence\",\"seq\":2,\"joined\":[{\"id\":\"b\",\"name\":\"B\"}],"
                  "\"left\":[{\"id\":\"c\",\"name\":\"C\"}],\"came\":1,\"went\":1,\"count\":1}");
    presence_batch_clear(batch);
    assert_false(presence_batch_is_open(batch));
    text_done(&out);
    presence_batch_free(batch);
}

#define JOIN(seq, id, count)                                                                       \
    "{\"type\":\"presence\",\"seq\":" #seq ",\"joined\":[{\"id\":\"" id                            \
    "\",\"name\":\"N\"}],\"left\":[],"                                                             \
    "\"count\":" #count "}"
#define LEAVE(seq, id, count)                                                                      \
    "{\"type\":\"presence\",\"seq\":" #seq ",\"joined\":[],\"left\":[{\"id\":\"" id                \
    "\",\"name\":\"N\"}],"                                                                         \
    "\"count\":" #count "}"

static void check_line(const struct presence_batch *batch, const char *line)
{
    struct text out = TEXT_EMPTY;
    presence_batch_write(batch, &out);
    assert_string_equal(out.data, line);
    text_done(&out);
}

static void test_batch_tells_that_somebody_left_who_was_in_a_list_already(void **state)
{
    struct presence_batch *batch = presence_batch_new();
    (void)state;
    add_event(batch, JOIN(1, "a", 1));
    add_event(batch, JOIN(2, "b", 2));
    presence_batch_seen(batch);
    add_event(batch, JOIN(3, "c", 3)); /* nobody sees this one */
    add_event(batch, LEAVE(4, "a", 2));
    add_event(batch, LEAVE(5, "c", 1));
    add_event(batch, JOIN(6, "d", 2));
    static const char left[] =
        "\"left\":[{\"id\":\"a\",\"name\":\"N\"}],\"came\":3,\"went\":1,\"count\":2}";
    char line[256];
    snprintf(line, sizeof line,
             "{\"type\":\"presence\",\"seq\":6,\"joined\":[{\"id\":\"b\",\"name\":\"N\"},"
             "{\"id\":\"d\",\"name\":\"N\"}],%s",
             left);
    check_line(batch, line);
    presence_batch_clear(batch);
    add_event(batch, JOIN(7, "e", 3));
    add_event(batch, LEAVE(8, "e", 2));
    check_line(batch, "{\"type\":\"presence\",\"seq\":8,\"joined\":[],\"left\":[],\"came\":0,"
                      "\"went\":0,\"count\":2}");
    presence_batch_free(batch);
}

static void test_batch_is_full_when_a_line_cannot_name_all(void **state)
{
    struct presence_batch *batch = presence_batch_new();
    (void)state;
    for (int i = 0; i < MESSAGE_PRESENCE_NAMES; i++)
        add_event(batch, JOIN(1, "a", 1));
    assert_false(presence_batch_is_full(batch));
    add_event(batch, JOIN(1, "a", 1));
    assert_true(presence_batch_is_full(batch));
    presence_batch_clear(batch);
    assert_false(presence_batch_is_full(batch));
    presence_batch_free(batch);
}

static void test_batch_counts_those_too_whom_it_cannot_name(void **state)
{
    enum { MANY = MESSAGE_PRESENCE_NAMES + 10 };
    struct presence_batch *batch = presence_batch_new();
    struct text out = TEXT_EMPTY;
    char json[160];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(json, sizeof json,
                 "{\"type\":\"presence\",\"seq\":%d,\"joined\":[{\"id\":\"j%d\",\"name\":\"N\"}],"
                 "\"left\":[{\"id\":\"l%d\",\"name\":\"N\"}],\"count\":9}",
                 i + 1, i, i);
        add_event(batch, json);
    }
    add_event(batch, LEAVE(98, "j0", 8)); /* nobody saw this one come */
    presence_batch_write(batch, &out);
    assert_non_null(strstr(out.data, ",\"came\":59,\"went\":60,\"count\":8}"));
    assert_non_null(strstr(out.data, "\"id\":\"j49\""));
    assert_null(strstr(out.data, "\"id\":\"j50\""));
    presence_batch_clear(batch);
    add_event(batch, JOIN(99, "a", 9));
    text_clear(&out);
    presence_batch_write(batch, &out);
    assert_non_null(strstr(out.data, ",\"came\":1,\"went\":0,\"count\":9}"));
    text_done(&out);
    presence_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_twice_change_nothing),
        cmocka_unit_test(test_holds_at_most_so_many),
        cmocka_unit_test(test_batch_leaves_out_who_came_and_went),
        cmocka_unit_test(test_batch_counts_those_too_whom_it_cannot_name),
        cmocka_unit_test(test_batch_tells_that_somebody_left_who_was_in_a_list_already),
        cmocka_unit_test(test_batch_is_full_when_a_line_cannot_name_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
