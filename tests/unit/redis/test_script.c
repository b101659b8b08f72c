/* Scripts are called by their hash, and repeated when Redis does not know them. */
#include "unit.h"

#include "redis_stage.h"

#include "redis/script.h"

static int open_stage(void **state)
{
    (void)state;
    redis_stage_open();
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    redis_stage_close();
    return 0;
}

/* --- What this test knows of redis/script.h --- */

static void prepare(struct script_call *call, const char *name, const char *key,
                    const char *argument)
{
    script_begin(call, name);
    script_add_key(call, key, strlen(key));
    redis_words_add_string(&call->words, argument);
}

/* Asks for a script of one key and one argument; who is told is "KEY". */
static int ask(const char *name, const char *key, const char *argument)
{
    struct script_call call;
    prepare(&call, name, key, argument);
    return script_run(redis_stage_connection(), &call, redis_stage_tell, (void *)(uintptr_t)key);
}

static void load_all(void)
{
    redis_stage_close();
    redis_stage_open_prepared(script_load_all);
}

/* --- Helpers --- */

static struct fake_redis_call *await(const char *name)
{
    return fake_redis_await(redis_stage_fake(), name);
}

static size_t count(const char *name)
{
    return fake_redis_count(redis_stage_fake(), name);
}

/* What is told once all that was sent is answered. */
static const char *told(void)
{
    redis_stage_settle();
    return redis_stage_told();
}

static const char missing[] = "-NOSCRIPT No matching script. Please use EVAL.";

/* --- Tests --- */

static void test_a_script_is_called_by_its_hash_with_its_keys_and_arguments(void **state)
{
    struct script_call made;
    (void)state;
    script_begin(&made, "join");
    script_add_key(&made, "k1", 2);
    script_add_key(&made, "a key\r\n", 7);
    redis_words_add_string(&made.words, "");
    redis_words_add_string(&made.words, "*1\r\n$4\r\nPING\r\n");
    redis_words_add_string(&made.words, "last");
    script_run(redis_stage_connection(), &made, redis_stage_tell, "x");
    struct fake_redis_call *call = await("join");
    assert_string_equal(fake_redis_key(call, 1), "k1");
    assert_string_equal(fake_redis_key(call, 2), "a key\r\n");
    assert_null(fake_redis_key(call, 3));
    assert_string_equal(fake_redis_argument(call, 1), "");
    assert_string_equal(fake_redis_argument(call, 2), "*1\r\n$4\r\nPING\r\n");
    assert_string_equal(fake_redis_argument(call, 3), "last");
    assert_null(fake_redis_argument(call, 4));
    fake_redis_answer(call, "'fine'");
    assert_string_equal(told(), "x:fine");
}

static void test_no_script_is_sent_as_text_but_to_be_loaded(void **state)
{
    (void)state;
    load_all();
    ask("publish", "a", "x");
    fake_redis_answer(await("publish"), "1");
    assert_string_equal(told(), "a:1");
    assert_int_equal(count("EVAL"), 0);
    assert_int_equal(count("SCRIPT"), script_sources_count);
    for (size_t i = 0; i < script_sources_count; i++) {
        struct fake_redis_call *call = await("SCRIPT");
        assert_string_equal(fake_redis_argument(call, 1), "LOAD");
        assert_int_equal(strlen(fake_redis_argument(call, 2)), script_sources[i].len);
        assert_memory_equal(fake_redis_argument(call, 2), script_sources[i].text,
                            script_sources[i].len);
    }
}

static void test_a_script_that_redis_does_not_know_is_loaded_and_called_once_more(void **state)
{
    (void)state;
    ask("recent", "room", "7");
    fake_redis_answer(await("recent"), missing);
    struct fake_redis_call *again = await("recent");
    assert_string_equal(fake_redis_key(again, 1), "room");
    assert_string_equal(fake_redis_argument(again, 1), "7");
    assert_string_equal(told(), "");
    fake_redis_answer(again, "'found'");
    assert_string_equal(told(), "room:found");
    assert_int_equal(count("SCRIPT"), 1);
    assert_int_equal(count("recent"), 2);
}

/* Redis answers in the order in which it was asked: while the loading is not answered, what was
 * asked after it is not either. */
static void test_it_is_loaded_before_it_is_called_again(void **state)
{
    (void)state;
    fake_redis_always(redis_stage_fake(), "SCRIPT", NULL);
    ask("recent", "room", "7");
    fake_redis_answer(await("recent"), missing);
    struct fake_redis_call *load = await("SCRIPT");
    fake_redis_answer(await("recent"), "'found'");
    assert_string_equal(told(), "");
    fake_redis_answer(load, "'hash'");
    assert_string_equal(told(), "room:found");
}

static void test_who_asked_is_told_when_redis_does_not_know_it_the_second_time_either(void **state)
{
    (void)state;
    ask("recent", "room", "7");
    fake_redis_answer(await("recent"), missing);
    fake_redis_answer(await("recent"), missing);
    assert_string_equal(told(), "room:NOSCRIPT No matching script. Please use EVAL.");
    assert_int_equal(count("recent"), 2);
}

static void test_every_other_error_is_told_once_and_not_repeated(void **state)
{
    static const char *const errors[] = {"-ERR x", "-OOM command not allowed", "-NOPERM no",
                                         "-NOSCRIP", "'NOSCRIPT as a text'"};
    static const char *const told_of[] = {"k:ERR x", "k:OOM command not allowed", "k:NOPERM no",
                                          "k:NOSCRIP", "k:NOSCRIPT as a text"};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        ask("leave", "k", "");
        fake_redis_answer(await("leave"), "%s", errors[i]);
        assert_string_equal(told(), told_of[i]);
    }
    assert_int_equal(count("leave"), 5);
    assert_int_equal(count("SCRIPT"), 0);
}

/* SCRIPT FLUSH, or a Redis that was restarted behind a proxy. */
static void test_all_calls_under_way_survive_that_redis_has_forgotten_the_scripts(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        ask(i % 2 == 0 ? "join" : "leave", names[i], "x");
    for (size_t i = 0; i < 4; i++)
        fake_redis_answer(await(i % 2 == 0 ? "join" : "leave"), missing);
    for (size_t i = 0; i < 4; i++) {
        struct fake_redis_call *again = await(i % 2 == 0 ? "join" : "leave");
        assert_string_equal(fake_redis_key(again, 1), names[i]);
        fake_redis_answer(again, "%zu", i);
    }
    assert_string_equal(told(), "a:0 b:1 c:2 d:3");
}

static void test_without_a_connection_nothing_is_asked_and_nobody_told(void **state)
{
    (void)state;
    redis_stage_lose();
    assert_int_equal(ask("join", "a", "x"), -1);
    assert_string_equal(told(), "");
    redis_stage_come_back();
    assert_int_equal(ask("join", "b", "x"), 0);
    fake_redis_answer(await("join"), "1");
    assert_string_equal(told(), "b:1");
    assert_int_equal(count("join"), 1);
}

static void test_who_waits_when_the_connection_is_lost_is_told_once(void **state)
{
    (void)state;
    ask("join", "a", "x");
    ask("leave", "b", "x");
    await("leave");
    redis_stage_lose();
    redis_stage_come_back();
    assert_string_equal(told(), "a:none b:none");
    assert_int_equal(count("join") + count("leave"), 2);
}

static void test_a_connection_that_is_lost_before_the_second_answer_is_told_once(void **state)
{
    (void)state;
    ask("join", "a", "x");
    fake_redis_answer(await("join"), missing);
    await("join");
    redis_stage_lose();
    redis_stage_come_back();
    assert_string_equal(told(), "a:none");
    assert_int_equal(count("join"), 2);
}

static void test_who_waits_when_the_connection_is_stopped_is_told_from_within(void **state)
{
    (void)state;
    ask("join", "a", "x");
    await("join");
    redis_stage_stop();
    assert_string_equal(redis_stage_told(), "a:none");
}

/* The answer is nobody's then. */
static void test_a_call_whose_answer_nobody_wants_is_made_all_the_same(void **state)
{
    struct script_call made;
    (void)state;
    prepare(&made, "trim", "k", "7");
    script_run(redis_stage_connection(), &made, NULL, NULL);
    fake_redis_answer(await("trim"), missing);
    fake_redis_answer(await("trim"), "-ERR x");
    assert_string_equal(told(), "");
}

static void
test_a_call_that_was_prepared_goes_out_when_it_is_sent_and_never_when_dropped(void **state)
{
    struct script_call made;
    (void)state;
    prepare(&made, "join", "a", "x");
    struct script_run *sent = script_prepare(redis_stage_connection(), &made);
    struct script_run *dropped = script_prepare(redis_stage_connection(), &made);
    memset(&made, 0xff, sizeof made); /* its words were copied */
    redis_stage_settle();
    assert_int_equal(count("join"), 0);
    script_drop(dropped);
    script_send(sent, redis_stage_tell, "a");
    struct fake_redis_call *call = await("join");
    assert_string_equal(fake_redis_key(call, 1), "a");
    assert_string_equal(fake_redis_argument(call, 1), "x");
    fake_redis_answer(call, "1");
    assert_string_equal(told(), "a:1");
    assert_int_equal(count("join"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_script_is_called_by_its_hash_with_its_keys_and_arguments),
        TEST(test_no_script_is_sent_as_text_but_to_be_loaded),
        TEST(test_a_script_that_redis_does_not_know_is_loaded_and_called_once_more),
        TEST(test_it_is_loaded_before_it_is_called_again),
        TEST(test_who_asked_is_told_when_redis_does_not_know_it_the_second_time_either),
        TEST(test_every_other_error_is_told_once_and_not_repeated),
        TEST(test_all_calls_under_way_survive_that_redis_has_forgotten_the_scripts),
        TEST(test_without_a_connection_nothing_is_asked_and_nobody_told),
        TEST(test_who_waits_when_the_connection_is_lost_is_told_once),
        TEST(test_a_connection_that_is_lost_before_the_second_answer_is_told_once),
        TEST(test_who_waits_when_the_connection_is_stopped_is_told_from_within),
        TEST(test_a_call_whose_answer_nobody_wants_is_made_all_the_same),
        TEST(test_a_call_that_was_prepared_goes_out_when_it_is_sent_and_never_when_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
