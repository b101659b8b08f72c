#include "unit.h"

#include "log_file.h"
#include "redis_stage.h"

#include "redis/persistence.h"

static struct persistence_facts facts_of(const char *info)
{
    struct persistence_facts facts = {0};
    persistence_read_info(&facts, info);
    return facts;
}

static void test_info_alone_tells_of_what_was_written_and_not_of_what_is_planned(void **state)
{
    (void)state;
    struct persistence_facts facts = facts_of("# Persistence\r\nrdb_saves:0\r\naof_enabled:0\r\n"
                                              "rdb_last_bgsave_time_sec:-1\r\n");
    assert_int_equal(facts.append_only, PERSISTENCE_NO);
    assert_int_equal(facts.snapshots, PERSISTENCE_UNKNOWN);
    assert_int_equal(persistence_writes(&facts), PERSISTENCE_UNKNOWN);
    facts = facts_of("rdb_saves:3\r\naof_enabled:0\r\n");
    assert_int_equal(persistence_writes(&facts), PERSISTENCE_YES);
    facts = facts_of("rdb_last_bgsave_time_sec:0\n");
    assert_int_equal(persistence_writes(&facts), PERSISTENCE_YES);
    facts = facts_of("aof_enabled:1");
    assert_int_equal(persistence_writes(&facts), PERSISTENCE_YES);
}

static void test_info_does_not_overrule_config(void **state)
{
    static const char info[] = "rdb_saves:3\r\naof_enabled:0\r\n";
    struct persistence_facts facts = {.snapshots = PERSISTENCE_NO, .append_only = PERSISTENCE_NO};
    (void)state;
    persistence_read_info(&facts, info);
    assert_int_equal(persistence_writes(&facts), PERSISTENCE_NO);
}

static void test_eviction_needs_a_policy_and_a_limit(void **state)
{
    (void)state;
    assert_int_equal(facts_of("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n").evicts,
                     PERSISTENCE_NO);
    assert_int_equal(facts_of("maxmemory:1048576\r\nmaxmemory_policy:allkeys-lru\r\n").evicts,
                     PERSISTENCE_YES);
    assert_int_equal(facts_of("maxmemory:1048576\r\nmaxmemory_policy:noeviction\r\n").evicts,
                     PERSISTENCE_NO);
    assert_int_equal(facts_of("maxmemory_policy:allkeys-lru\r\n").evicts, PERSISTENCE_UNKNOWN);
}

/* From a server that is not what we think: cut lines, none, endless ones. */
static void test_any_text_is_read(void **state)
{
    static const char *const odd[] = {"",
                                      "\n",
                                      "\r\n",
                                      ":",
                                      "aof_enabled",
                                      "aof_enabled:",
                                      "aof_enabled:\r",
                                      "maxmemory_policy:\r\nmaxmemory:\r\n",
                                      "maxmemory:1\nmaxmemory_policy:"
                                      "a-policy-of-a-name-that-is-longer-than-any-of-them"};
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        for (size_t len = 0; len <= strlen(odd[i]); len++) {
            struct persistence_facts facts = {0};
            struct text out = TEXT_EMPTY;
            char *copy = malloc(len + 1); /* so that a byte too far is noticed */
            snprintf(copy, len + 1, "%s", odd[i]);
            persistence_read_info(&facts, copy);
            persistence_describe(&facts, &out);
            assert_true(out.len > 0 && out.len < 300);
            text_done(&out);
            free(copy);
        }
}

static void test_what_is_wrong_is_said_with_what_to_do(void **state)
{
    struct persistence_facts facts = {.snapshots = PERSISTENCE_YES,
                                      .append_only = PERSISTENCE_NO,
                                      .evicts = PERSISTENCE_YES,
                                      .save = "3600 1",
                                      .policy = "allkeys-lru"};
    struct text out = TEXT_EMPTY;
    (void)state;
    persistence_describe(&facts, &out);
    assert_non_null(strstr(out.data, "(save 3600 1): set save \"\""));
    assert_non_null(strstr(out.data, "(maxmemory-policy allkeys-lru): set maxmemory-policy"));
    text_done(&out);
}

/* --- What is logged, and when --- */

static struct log *stage_log;

static struct persistence *open_stage(void)
{
    static struct metrics metrics;
    stage_log = log_file_open();
    redis_stage_open();
    return persistence_new(redis_stage_connection(), &metrics, stage_log);
}

static void close_stage(struct persistence *persistence)
{
    redis_stage_close();
    persistence_free(persistence);
    log_close(stage_log);
}

static void ask_while_policy_is(struct persistence *persistence, const char *info)
{
    fake_redis_always(redis_stage_fake(), "INFO", info);
    persistence_ask(persistence);
    redis_stage_settle();
}

#define EVICTS "'maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n'"
#define KEEPS  "'maxmemory:1\r\nmaxmemory_policy:noeviction\r\n'"

static void test_each_change_of_a_redis_in_use_is_logged_whenever_the_answer_comes(void **state)
{
    (void)state;
    struct persistence *persistence = open_stage();
    ask_while_policy_is(persistence, EVICTS); /* logged */
    ask_while_policy_is(persistence, KEEPS);  /* logged */
    ask_while_policy_is(persistence, EVICTS); /* not in use: the same two again and again */
    persistence_note_use(persistence);
    ask_while_policy_is(persistence, EVICTS); /* logged */
    fake_redis_always(redis_stage_fake(), "INFO", KEEPS);
    persistence_ask(persistence);
    persistence_note_use(persistence);
    redis_stage_settle();                     /* logged: its answer came later */
    ask_while_policy_is(persistence, EVICTS); /* logged */
    ask_while_policy_is(persistence, EVICTS);
    close_stage(persistence);
    assert_int_equal(log_file_count("(maxmemory-policy allkeys-lru"), 3);
    assert_int_equal(log_file_count("(maxmemory-policy noeviction"), 2);
    log_file_remove();
}

/* Else the last word is of one that could not be used. */
static void test_what_was_found_before_a_redis_is_in_use_is_the_last_that_is_logged(void **state)
{
    (void)state;
    struct persistence *persistence = open_stage();
    ask_while_policy_is(persistence, KEEPS);
    persistence_note_use(persistence);
    ask_while_policy_is(persistence, EVICTS); /* one that is never in use */
    ask_while_policy_is(persistence, KEEPS);
    persistence_note_use(persistence);
    persistence_note_use(persistence);
    close_stage(persistence);
    assert_int_equal(log_file_count("(maxmemory-policy allkeys-lru"), 1);
    assert_int_equal(log_file_count("(maxmemory-policy noeviction"), 2);
    log_file_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info_alone_tells_of_what_was_written_and_not_of_what_is_planned),
        cmocka_unit_test(test_info_does_not_overrule_config),
        cmocka_unit_test(test_eviction_needs_a_policy_and_a_limit),
        cmocka_unit_test(test_any_text_is_read),
        cmocka_unit_test(test_what_is_wrong_is_said_with_what_to_do),
        cmocka_unit_test(test_each_change_of_a_redis_in_use_is_logged_whenever_the_answer_comes),
        cmocka_unit_test(test_what_was_found_before_a_redis_is_in_use_is_the_last_that_is_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
