/* What members say, on its way to Redis: one call for all that is said to a room in a turn of the
 * loop. */
#include "unit.h"

#include "redis_stage.h"

#include "broker/broker.h"

#include <event2/event.h>
#include <signal.h>

enum { MOST_ROOMS = 2, MOST_IN_CALL = 128, MOST_BYTES = 65536 };

static struct stage {
    struct event_base *base;
    struct broker *broker;
    struct config config;
    struct metrics metrics;
    struct bus *bus;
    struct topic rooms[MOST_ROOMS];
} stage;

/* --- What this test knows of broker/broker.h and room/feed.h --- */

static bool is_up(void *arg)
{
    (void)arg;
    return stage.bus != NULL && bus_is_up(stage.bus);
}

static bool is_down(void *arg)
{
    return !is_up(arg);
}

static void on_event(void *arg)
{
    (void)arg;
}

static void on_told(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static void open_bus(void)
{
    static const struct bus_callbacks callbacks = {on_event, on_told, on_event};
    const struct bus_options options = {stage.base, &stage.config, &stage.config.redis_url,
                                        &stage.metrics, NULL};
    char error[256];
    stage.bus = bus_new(&options, &callbacks, NULL, error, sizeof error);
    assert_non_null(stage.bus);
    broker_run_until(stage.broker, is_up, NULL);
}

static void open_rooms(void)
{
    static const char *const names[MOST_ROOMS] = {"tea", "café"};
    for (size_t i = 0; i < MOST_ROOMS; i++)
        stage.rooms[i] = topic_of(bus_commands(stage.bus), &stage.config, names[i]);
}

static struct topic *tea(void)
{
    return &stage.rooms[0];
}

static struct topic *cafe(void)
{
    return &stage.rooms[1];
}

/* Somebody says something to a room; who is told is `who`. */
static int say_all(struct topic *room, const struct publish_batch_say *say, const char *who)
{
    return commands_say(room, say, redis_stage_tell, (void *)(uintptr_t)who);
}

static int say(struct topic *room, const char *who)
{
    const struct publish_batch_say what = {.id = "ID", .body = who, .body_len = strlen(who)};
    return say_all(room, &what, who);
}

static int say_with_nonce(struct topic *room, const char *id, const char *nonce, const char *who)
{
    const struct publish_batch_say what = {id, who, strlen(who), nonce, "epoch"};
    return say_all(room, &what, who);
}

static int leave(struct topic *room, const char *who)
{
    const struct commands_leave gone = {
        .member = {.folded = "a", .name = "a", .address = "", .shown = "", .session = "s"},
        .spared = "",
    };
    return commands_leave(room, &gone, 1, redis_stage_tell, (void *)(uintptr_t)who);
}

static void flush(void)
{
    bus_flush(stage.bus);
}

static void stop(void)
{
    bus_stop(stage.bus);
}

static void close_all(void)
{
    bus_stop(stage.bus);
    bus_free(stage.bus);
}

/* The connection is lost in this turn of the loop, and nobody has been told yet. */
static void drop(void)
{
    redis_reconnect(bus_commands(stage.bus)->redis, "dropped");
}

/* --- Helpers --- */

static int open_stage(void **state)
{
    static char *const environment[] = {NULL};
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    stage = (struct stage){.base = event_base_new()};
    stage.broker = broker_new(stage.base);
    /* whoever hears nothing asks for nothing by itself */
    broker_always(stage.broker, "SUBSCRIBE", NULL);
    char *arguments[] = {"yukizuri", "--redis", (char *)(uintptr_t)broker_url(stage.broker)};
    assert_int_equal(config_load(&stage.config, 3, arguments, environment).action, CONFIG_RUN);
    open_bus();
    open_rooms();
    redis_stage_told();
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    close_all();
    broker_free(stage.broker);
    config_done(&stage.config);
    event_base_free(stage.base);
    return 0;
}

static struct broker_call *await(void)
{
    return broker_await(stage.broker, "publish");
}

static size_t count(void)
{
    broker_settle(stage.broker);
    return broker_count(stage.broker, "publish");
}

static const char *told(void)
{
    broker_settle(stage.broker);
    return redis_stage_told();
}

enum { KEYS = 3, ARGUMENTS = 6, WORDS = 3 }; /* before what is said; of each */

/* The words of what is said as number `index` of a call, from 0 on. */
static const char *body_of(const struct broker_call *call, size_t index)
{
    return broker_argument(call, ARGUMENTS + 1 + index * WORDS);
}

static const char *nonce_of(const struct broker_call *call, size_t index)
{
    return broker_argument(call, ARGUMENTS + 2 + index * WORDS);
}

static const char *epoch_of(const struct broker_call *call, size_t index)
{
    return broker_argument(call, ARGUMENTS + 3 + index * WORDS);
}

/* The bodies of a call, in order. */
static const char *bodies(const struct broker_call *call)
{
    static char all[4096];
    const char *body;
    size_t len = 0;
    for (size_t i = 0; (body = body_of(call, i)) != NULL; i++)
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i == 0 ? "" : " ", body);
    return all;
}

/* --- The call --- */

static void test_what_is_said_reaches_redis_with_the_keys_of_its_room(void **state)
{
    (void)state;
    say_with_nonce(cafe(), "ID", "n1", "\"from\":{},\"text\":\"\\n\"}");
    struct broker_call *call = await();
    assert_string_equal(broker_key(call, 1), "yukizuri:{café}");
    assert_string_equal(broker_key(call, 2), "yukizuri:{café}:head");
    assert_string_equal(broker_key(call, 3), "yukizuri:{café}:recent");
    assert_string_equal(broker_key(call, 4), "yukizuri:{café}:nonces:ID");
    assert_null(broker_key(call, 5));
    assert_string_equal(body_of(call, 0), "\"from\":{},\"text\":\"\\n\"}");
    assert_string_equal(nonce_of(call, 0), "n1");
    assert_string_equal(epoch_of(call, 0), "epoch");
    assert_null(body_of(call, 1));
    broker_answer(call, "[7]");
    assert_string_equal(told(), "\"from\":{},\"text\":\"\\n\"}:7");
}

static void test_what_is_said_in_a_turn_shares_a_call_in_order(void **state)
{
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    say(tea(), "c");
    assert_int_equal(count(), 1);
    struct broker_call *call = await();
    assert_string_equal(bodies(call), "a b c");
    broker_answer(call, "[5, 6, 7]");
    assert_string_equal(told(), "a:5 b:6 c:7");
}

static void test_each_nonce_has_its_key_in_order_and_who_has_none_has_no_key(void **state)
{
    (void)state;
    say(tea(), "a");
    say_with_nonce(tea(), "ONE", "n1", "b");
    say(tea(), "c");
    say_with_nonce(tea(), "TWO", "n2", "d");
    say_with_nonce(tea(), "ONE", "n3", "e");
    struct broker_call *call = await();
    assert_string_equal(broker_key(call, KEYS + 1), "yukizuri:{tea}:nonces:ONE");
    assert_string_equal(broker_key(call, KEYS + 2), "yukizuri:{tea}:nonces:TWO");
    assert_string_equal(broker_key(call, KEYS + 3), "yukizuri:{tea}:nonces:ONE");
    assert_null(broker_key(call, KEYS + 4));
    static const char *const nonces[] = {"", "n1", "", "n2", "n3"};
    static const char *const epochs[] = {"", "epoch", "", "epoch", "epoch"};
    assert_string_equal(bodies(call), "a b c d e");
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(nonce_of(call, i), nonces[i]);
        assert_string_equal(epoch_of(call, i), epochs[i]);
    }
    broker_answer(call, "[1, 2, 3, 4, 5]");
    assert_string_equal(told(), "a:1 b:2 c:3 d:4 e:5");
}

static void test_each_room_has_its_own_call(void **state)
{
    (void)state;
    say(tea(), "a");
    say(cafe(), "b");
    say(tea(), "c");
    say(cafe(), "d");
    assert_int_equal(count(), 2);
    struct broker_call *first = await();
    struct broker_call *second = await();
    assert_string_equal(broker_key(first, 1), "yukizuri:{tea}");
    assert_string_equal(bodies(first), "a c");
    assert_string_equal(broker_key(second, 1), "yukizuri:{café}");
    assert_string_equal(bodies(second), "b d");
    broker_answer(second, "[3, 4]");
    broker_answer(first, "[1, 2]");
    assert_string_equal(told(), "a:1 c:2 b:3 d:4");
}

static void test_what_is_said_in_the_next_turn_waits_for_no_answer(void **state)
{
    (void)state;
    say(tea(), "a");
    assert_int_equal(count(), 1);
    say(tea(), "b");
    assert_int_equal(count(), 2);
    broker_answer(await(), "[1]");
    broker_answer(await(), "[2]");
    assert_string_equal(told(), "a:1 b:2");
}

static void test_what_is_said_after_a_flush_is_in_the_next_call(void **state)
{
    (void)state;
    say(tea(), "a");
    flush();
    say(tea(), "b");
    struct broker_call *first = await();
    struct broker_call *second = await();
    assert_string_equal(bodies(first), "a");
    assert_string_equal(bodies(second), "b");
    broker_answer(first, "[1]");
    broker_answer(second, "[2]");
    assert_string_equal(told(), "a:1 b:2");
}

static void test_a_flush_of_nothing_sends_nothing(void **state)
{
    (void)state;
    flush();
    assert_int_equal(count(), 0);
}

/* A member who leaves has said before what it has said before. */
static void test_what_follows_what_was_said_does_not_overtake_it(void **state)
{
    (void)state;
    say(tea(), "a");
    leave(tea(), "left");
    say(tea(), "b");
    struct broker_call *first = await();
    broker_answer(broker_await(stage.broker, "leave"), "'gone'");
    broker_answer(await(), "[2]");
    assert_string_equal(told(), ""); /* Redis answers in the order in which it was asked */
    broker_answer(first, "[1]");
    assert_string_equal(told(), "a:1 left:gone b:2");
}

/* --- How much --- */

static void answer_with_numbers(struct broker_call *call, size_t first, size_t number)
{
    char list[4096];
    size_t len = 0;
    for (size_t i = 0; i < number; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%zu", i == 0 ? "[" : ", ",
                                first + i);
    broker_answer(call, "%s]", list);
}

static void test_a_call_has_a_bound_and_what_is_beyond_it_goes_in_the_next(void **state)
{
    static char names[MOST_IN_CALL * 2 + 1][8];
    char expected[8192];
    size_t len = 0;
    (void)state;
    for (size_t i = 0; i < MOST_IN_CALL * 2 + 1; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        say(tea(), names[i]);
        len += (size_t)snprintf(expected + len, sizeof expected - len, "%s%zu:%zu",
                                i == 0 ? "" : " ", i, i + 1);
    }
    for (size_t from = 0; from < MOST_IN_CALL * 2 + 1; from += MOST_IN_CALL) {
        struct broker_call *call = await();
        size_t number = from < MOST_IN_CALL * 2 ? MOST_IN_CALL : 1;
        for (size_t i = 0; i < number; i++)
            assert_string_equal(body_of(call, i), names[from + i]);
        assert_null(body_of(call, number));
        answer_with_numbers(call, from + 1, number);
    }
    assert_string_equal(told(), expected);
}

static void test_a_call_has_a_bound_of_bytes_as_well(void **state)
{
    static char body[MOST_BYTES / 2];
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    (void)state;
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < 5; i++) {
        const struct publish_batch_say what = {.id = "ID", .body = body, .body_len = sizeof body};
        say_all(tea(), &what, names[i]);
    }
    for (size_t number = 2; number > 0; number--) {
        struct broker_call *call = await();
        assert_int_equal(strlen(body_of(call, 1)), sizeof body);
        assert_null(body_of(call, 2));
        broker_answer(call, "[1, 2]");
    }
    struct broker_call *last = await();
    assert_null(body_of(last, 1));
    broker_answer(last, "[3]");
    assert_string_equal(told(), "a:1 b:2 c:1 d:2 e:3");
}

/* --- Answers --- */

static void test_an_error_of_one_is_told_to_this_one_alone(void **state)
{
    static const char answer[] = "*3\r\n:1\r\n-OTHEREPOCH another one\r\n:2\r\n";
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    say(tea(), "c");
    broker_answer_bytes(await(), answer, sizeof answer - 1);
    assert_string_equal(told(), "a:1 b:OTHEREPOCH another one c:2");
}

static void test_an_error_of_the_call_is_told_to_all_who_are_in_it(void **state)
{
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    say(cafe(), "c");
    struct broker_call *first = await();
    broker_answer(await(), "[7]");
    broker_answer(first, "-OOM command not allowed");
    assert_string_equal(told(), "a:OOM command not allowed b:OOM command not allowed c:7");
}

static void test_an_answer_of_another_form_leaves_nobody_waiting(void **state)
{
    static const char *const answers[] = {"[]", "7", "null", "'x'", "['x']", "[1, 2, 3]", "+OK"};
    static const char *const expected[] = {
        "a:none b:none", "a:none b:none", "a:none b:none", "a:none b:none",
        "a:x b:none",    "a:1 b:2",       "a:none b:none",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        say(tea(), "a");
        say(tea(), "b");
        broker_answer(await(), "%s", answers[i]);
        assert_string_equal(told(), expected[i]);
    }
}

static void test_a_script_that_redis_does_not_know_is_repeated_with_all_that_was_said(void **state)
{
    (void)state;
    say(tea(), "a");
    say_with_nonce(tea(), "ID", "n", "b");
    broker_answer(await(), "-NOSCRIPT No matching script.");
    struct broker_call *again = await();
    assert_string_equal(bodies(again), "a b");
    assert_string_equal(broker_key(again, KEYS + 1), "yukizuri:{tea}:nonces:ID");
    broker_answer(again, "[1, 2]");
    assert_string_equal(told(), "a:1 b:2");
}

static void say_more(void *who, const struct redis_reply *reply)
{
    redis_stage_tell(who, reply);
    say(tea(), "more");
}

static void test_what_is_said_from_within_an_answer_goes_in_a_call_of_its_own(void **state)
{
    const struct publish_batch_say what = {.id = "ID", .body = "a", .body_len = 1};
    (void)state;
    commands_say(tea(), &what, say_more, "a");
    commands_say(tea(), &what, say_more, "b");
    broker_answer(await(), "[1, 2]");
    struct broker_call *call = await();
    assert_string_equal(bodies(call), "more more");
    broker_answer(call, "[3, 4]");
    assert_string_equal(told(), "a:1 b:2 more:3 more:4");
}

/* --- Without Redis --- */

static void lose(void)
{
    broker_set_away(stage.broker, true);
    broker_run_until(stage.broker, is_down, NULL);
}

static void come_back(void)
{
    broker_set_away(stage.broker, false);
    broker_run_until(stage.broker, is_up, NULL);
}

static void test_without_a_connection_nothing_is_taken_and_nobody_told(void **state)
{
    (void)state;
    lose();
    assert_int_equal(say(tea(), "a"), -1);
    assert_string_equal(told(), "");
    come_back();
    assert_int_equal(count(), 0);
    assert_int_equal(say(tea(), "b"), 0);
    broker_answer(await(), "[1]");
    assert_string_equal(told(), "b:1");
}

/* Nobody knows whether it was accepted: it is not said again by itself. */
static void test_when_the_connection_is_lost_all_who_wait_are_told_once_and_in_order(void **state)
{
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    await();
    say(cafe(), "c");
    await();
    lose();
    assert_string_equal(told(), "a:none b:none c:none");
    come_back();
    assert_int_equal(count(), 2);
    assert_string_equal(told(), "");
}

static void test_what_is_said_in_the_turn_that_loses_the_connection_is_told(void **state)
{
    (void)state;
    say(tea(), "a");
    await();
    say(tea(), "b");
    say(cafe(), "c");
    lose();
    assert_string_equal(told(), "a:none b:none c:none");
    come_back();
    say(tea(), "d");
    struct broker_call *call;
    do /* what has left before the end has been asked, as far as Redis knows */
        call = await();
    while (strcmp(bodies(call), "d") != 0);
    broker_answer(call, "[1]");
    assert_string_equal(told(), "d:1");
}

static void test_what_finds_no_connection_when_it_is_to_be_sent_is_told_in_order(void **state)
{
    (void)state;
    say(tea(), "a");
    say(cafe(), "b");
    say(tea(), "c");
    drop();
    assert_int_equal(say(tea(), "d"), -1);
    flush();
    assert_string_equal(redis_stage_told(), ""); /* never from within */
    assert_string_equal(told(), "a:none c:none b:none");
    broker_run_until(stage.broker, is_up, NULL);
    assert_int_equal(count(), 0);
}

static void test_a_stop_tells_all_who_wait_from_within_what_was_not_sent_first(void **state)
{
    (void)state;
    say(tea(), "under way");
    await();
    say(tea(), "a");
    say(cafe(), "b");
    say(tea(), "c");
    stop();
    assert_string_equal(redis_stage_told(), "a:none c:none b:none under way:none");
}

static void test_a_stop_with_nobody_waiting_tells_nobody(void **state)
{
    (void)state;
    say(tea(), "a");
    broker_answer(await(), "[1]");
    assert_string_equal(told(), "a:1");
    stop();
    assert_string_equal(redis_stage_told(), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_said_reaches_redis_with_the_keys_of_its_room),
        TEST(test_what_is_said_in_a_turn_shares_a_call_in_order),
        TEST(test_each_nonce_has_its_key_in_order_and_who_has_none_has_no_key),
        TEST(test_each_room_has_its_own_call),
        TEST(test_what_is_said_in_the_next_turn_waits_for_no_answer),
        TEST(test_what_is_said_after_a_flush_is_in_the_next_call),
        TEST(test_a_flush_of_nothing_sends_nothing),
        TEST(test_what_follows_what_was_said_does_not_overtake_it),
        TEST(test_a_call_has_a_bound_and_what_is_beyond_it_goes_in_the_next),
        TEST(test_a_call_has_a_bound_of_bytes_as_well),
        TEST(test_an_error_of_one_is_told_to_this_one_alone),
        TEST(test_an_error_of_the_call_is_told_to_all_who_are_in_it),
        TEST(test_an_answer_of_another_form_leaves_nobody_waiting),
        TEST(test_a_script_that_redis_does_not_know_is_repeated_with_all_that_was_said),
        TEST(test_what_is_said_from_within_an_answer_goes_in_a_call_of_its_own),
        TEST(test_without_a_connection_nothing_is_taken_and_nobody_told),
        TEST(test_when_the_connection_is_lost_all_who_wait_are_told_once_and_in_order),
        TEST(test_what_is_said_in_the_turn_that_loses_the_connection_is_told),
        TEST(test_what_finds_no_connection_when_it_is_to_be_sent_is_told_in_order),
        TEST(test_a_stop_tells_all_who_wait_from_within_what_was_not_sent_first),
        TEST(test_a_stop_with_nobody_waiting_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
