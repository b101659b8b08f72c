#include "unit.h"

#include "protocol/token.h"
#include "session/rules.h"

enum { NOW_MS = 1000000, LATER_MS = NOW_MS + 60000 };

static struct rules *rules;

static int setup(void **state)
{
    (void)state;
    rules = rules_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rules_free(rules);
    return 0;
}

static int keep(enum rule_kind kind, const char *room, const char *subject, int64_t until_ms)
{
    const struct rule_record rule = {kind, subject, 10, until_ms, "why"};
    return rules_keep(rules, room, &rule);
}

static bool is_muted(const char *room, int64_t now_ms)
{
    struct address address;
    struct message_error error;
    assert_int_equal(address_parse("203.0.113.7", 11, &address), 0);
    const struct rules_member member = {"abc", "alice", &address};
    return rules_judge_muted(rules, room, &member, now_ms, &error);
}

static void test_a_member_is_muted_by_id_name_or_block_in_that_room_until_the_end(void **state)
{
    static const char *const subjects[] = {"id:abc", "name:alice", "address:203.0.113.7",
                                           "address:203.0.113.0/24"};
    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        assert_false(is_muted("lobby", NOW_MS));
        assert_int_equal(keep(RULE_MUTED, "lobby", subjects[i], LATER_MS), 0);
        assert_true(is_muted("lobby", LATER_MS - 1));
        assert_false(is_muted("lobby", LATER_MS));
        assert_false(is_muted("other", NOW_MS));
        assert_int_equal(keep(RULE_MUTED, "lobby", subjects[i], 0), 0);
    }
    keep(RULE_MUTED, "lobby", "id:ab", LATER_MS);
    keep(RULE_MUTED, "lobby", "name:al", LATER_MS);
    keep(RULE_MUTED, "lobby", "address:203.0.114.0/24", LATER_MS);
    keep(RULE_MUTED, "lobby", "rubbish", LATER_MS);
    assert_false(is_muted("lobby", NOW_MS));
}

static void test_slow_mode_holds_each_member_by_itself(void **state)
{
    struct message_error error;
    (void)state;
    keep(RULE_SLOW, "lobby", "", LATER_MS);
    assert_false(rules_judge_slow(rules, "lobby", "a", NOW_MS, &error));
    assert_true(rules_judge_slow(rules, "lobby", "a", NOW_MS + 4000, &error));
    assert_string_equal(error.code, "slow");
    assert_true(error.retry_after > 5.9 && error.retry_after < 6.1);
    assert_false(rules_judge_slow(rules, "lobby", "b", NOW_MS + 4000, &error));
    assert_false(rules_judge_slow(rules, "lobby", "a", NOW_MS + 10000, &error));
    assert_true(rules_judge_slow(rules, "lobby", "a", NOW_MS + 10001, &error));
    assert_false(rules_judge_slow(rules, "lobby", "a", LATER_MS, &error));
}

static void test_slow_mode_remembers_10000_members_of_a_room(void **state)
{
    struct message_error error;
    char id[TOKEN_ID_BYTES];
    (void)state;
    keep(RULE_SLOW, "lobby", "", LATER_MS);
    for (int i = 0; i < 10001; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_false(rules_judge_slow(rules, "lobby", id, NOW_MS, &error));
    }
    assert_true(rules_judge_slow(rules, "lobby", "1", NOW_MS, &error));
    assert_true(rules_judge_slow(rules, "lobby", "10000", NOW_MS, &error));
    assert_false(rules_judge_slow(rules, "lobby", "0", NOW_MS, &error));
}

static void test_a_room_has_at_most_200_rules_and_one_in_place_of_another_is_none_more(void **state)
{
    char subject[16];
    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(subject, sizeof subject, "id:%d", i);
        assert_int_equal(keep(RULE_MUTED, "lobby", subject, LATER_MS), 0);
    }
    assert_int_equal(keep(RULE_MUTED, "lobby", "id:199", LATER_MS + 1), 0);
    assert_int_equal(keep(RULE_MUTED, "lobby", "id:200", LATER_MS), -1);
    rules_tick(rules, LATER_MS);
    assert_int_equal(keep(RULE_MUTED, "lobby", "id:200", LATER_MS + 9), 0);
}

static void test_there_are_at_most_1000_rooms_with_rules(void **state)
{
    char room[16];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(room, sizeof room, "room%d", i);
        assert_int_equal(keep(RULE_LOCKED, room, "", LATER_MS), 0);
    }
    assert_int_equal(keep(RULE_LOCKED, "one more", "", LATER_MS), -1);
    assert_int_equal(keep(RULE_LOCKED, "one more", "", 0), 0);
    rules_tick(rules, LATER_MS);
    assert_int_equal(keep(RULE_LOCKED, "one more", "", LATER_MS + 9), 0);
}

/* Takes what is to be written; the subjects, a space behind each. */
static const char *write_all(void)
{
    static char subjects[256];
    struct rule_record rule;
    const char *room;
    subjects[0] = '\0';
    while (rules_next_unwritten(rules, NOW_MS, &room, &rule)) {
        assert_string_equal(room, "lobby");
        snprintf(subjects + strlen(subjects), sizeof subjects - strlen(subjects), "%s ",
                 rule.subject);
    }
    return subjects;
}

static void test_what_redis_has_lost_is_written_once_unless_it_has_ended(void **state)
{
    (void)state;
    keep(RULE_MUTED, "lobby", "id:a", LATER_MS);
    keep(RULE_MUTED, "lobby", "id:over", NOW_MS);
    keep(RULE_MUTED, "lobby", "id:b", LATER_MS);
    assert_string_equal(write_all(), "");
    uint64_t changes = rules_changes(rules);
    rules_mark_unwritten(rules);
    assert_true(rules_changes(rules) > changes); /* an answer from before says nothing now */
    keep(RULE_MUTED, "lobby", "id:c", LATER_MS);
    assert_string_equal(write_all(), "id:a id:b ");
    assert_string_equal(write_all(), "");
    rules_mark_unwritten(rules);
    assert_string_equal(write_all(), "id:c id:a id:b ");
}

static void test_what_is_to_be_written_is_not_forgotten(void **state)
{
    struct rule_record rule;
    const char *room;
    (void)state;
    keep(RULE_MUTED, "lobby", "id:abc", LATER_MS);
    rules_mark_unwritten(rules);
    rules_forget(rules, "lobby");
    assert_true(is_muted("lobby", NOW_MS));
    assert_true(rules_next_unwritten(rules, NOW_MS, &room, &rule));
    rules_forget(rules, "lobby");
    assert_false(is_muted("lobby", NOW_MS));
    assert_false(rules_next_unwritten(rules, NOW_MS, &room, &rule));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_member_is_muted_by_id_name_or_block_in_that_room_until_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_mode_holds_each_member_by_itself, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_slow_mode_remembers_10000_members_of_a_room, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_a_room_has_at_most_200_rules_and_one_in_place_of_another_is_none_more, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_what_redis_has_lost_is_written_once_unless_it_has_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_to_be_written_is_not_forgotten, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_there_are_at_most_1000_rooms_with_rules, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
