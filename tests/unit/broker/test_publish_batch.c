/* What members say, on its way to Redis: one call for all that is said to a room in an iteration of
 * the loop. (What comes of a call: test_publish_answers.c.) */
#include "unit.h"

#include "publish_world.h"
#include "redis_stage.h"

enum { MOST_IN_CALL = 128, MOST_BYTES = 65536 };

/* --- The call --- */

static void test_what_is_said_reaches_redis_with_the_keys_of_its_room(void **state)
{
    (void)state;
    say_with_nonce(cafe(), "ID", "n1", "\"from\":{},\"text\":\"\\n\"}");
    struct fake_redis_call *call = await();
    assert_string_equal(fake_redis_key(call, 1), "yukizuri:{café}");
    assert_string_equal(fake_redis_key(call, 2), "yukizuri:{café}:head");
    assert_string_equal(fake_redis_key(call, 3), "yukizuri:{café}:recent");
    assert_string_equal(fake_redis_key(call, 4), "yukizuri:{café}:nonces:ID");
    assert_null(fake_redis_key(call, 5));
    assert_string_equal(body_of(call, 0), "\"from\":{},\"text\":\"\\n\"}");
    assert_string_equal(nonce_of(call, 0), "n1");
    assert_string_equal(epoch_of(call, 0), "epoch");
    assert_null(body_of(call, 1));
    fake_redis_answer(call, "[7]");
    assert_string_equal(told(), "\"from\":{},\"text\":\"\\n\"}:7");
}

static void test_what_is_said_in_an_iteration_shares_a_call_in_order(void **state)
{
    (void)state;
    say(tea(), "a");
    say(tea(), "b");
    say(tea(), "c");
    assert_int_equal(count(), 1);
    struct fake_redis_call *call = await();
    assert_string_equal(bodies(call), "a b c");
    fake_redis_answer(call, "[5, 6, 7]");
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
    struct fake_redis_call *call = await();
    assert_string_equal(fake_redis_key(call, KEYS + 1), "yukizuri:{tea}:nonces:ONE");
    assert_string_equal(fake_redis_key(call, KEYS + 2), "yukizuri:{tea}:nonces:TWO");
    assert_string_equal(fake_redis_key(call, KEYS + 3), "yukizuri:{tea}:nonces:ONE");
    assert_null(fake_redis_key(call, KEYS + 4));
    static const char *const nonces[] = {"", "n1", "", "n2", "n3"};
    static const char *const epochs[] = {"", "epoch", "", "epoch", "epoch"};
    assert_string_equal(bodies(call), "a b c d e");
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(nonce_of(call, i), nonces[i]);
        assert_string_equal(epoch_of(call, i), epochs[i]);
    }
    fake_redis_answer(call, "[1, 2, 3, 4, 5]");
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
    struct fake_redis_call *first = await();
    struct fake_redis_call *second = await();
    assert_string_equal(fake_redis_key(first, 1), "yukizuri:{tea}");
    assert_string_equal(bodies(first), "a c");
    assert_string_equal(fake_redis_key(second, 1), "yukizuri:{café}");
    assert_string_equal(bodies(second), "b d");
    fake_redis_answer(second, "[3, 4]");
    fake_redis_answer(first, "[1, 2]");
    assert_string_equal(told(), "a:1 c:2 b:3 d:4");
}

static void test_what_is_said_in_the_next_iteration_waits_for_no_answer(void **state)
{
    (void)state;
    say(tea(), "a");
    assert_int_equal(count(), 1);
    say(tea(), "b");
    assert_int_equal(count(), 2);
    fake_redis_answer(await(), "[1]");
    fake_redis_answer(await(), "[2]");
    assert_string_equal(told(), "a:1 b:2");
}

static void test_what_is_said_after_a_flush_is_in_the_next_call(void **state)
{
    (void)state;
    say(tea(), "a");
    flush();
    say(tea(), "b");
    struct fake_redis_call *first = await();
    struct fake_redis_call *second = await();
    assert_string_equal(bodies(first), "a");
    assert_string_equal(bodies(second), "b");
    fake_redis_answer(first, "[1]");
    fake_redis_answer(second, "[2]");
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
    struct fake_redis_call *first = await();
    fake_redis_answer(fake_redis_await(stage.fake, "leave"), "'gone'");
    fake_redis_answer(await(), "[2]");
    assert_string_equal(told(), ""); /* Redis answers in the order in which it was asked */
    fake_redis_answer(first, "[1]");
    assert_string_equal(told(), "a:1 left:gone b:2");
}

/* --- How much --- */

static void answer_with_numbers(struct fake_redis_call *call, size_t first, size_t number)
{
    char list[4096];
    size_t len = 0;
    for (size_t i = 0; i < number; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%zu", i == 0 ? "[" : ", ",
                                first + i);
    fake_redis_answer(call, "%s]", list);
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
        struct fake_redis_call *call = await();
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
        struct fake_redis_call *call = await();
        assert_int_equal(strlen(body_of(call, 1)), sizeof body);
        assert_null(body_of(call, 2));
        fake_redis_answer(call, "[1, 2]");
    }
    struct fake_redis_call *last = await();
    assert_null(body_of(last, 1));
    fake_redis_answer(last, "[3]");
    assert_string_equal(told(), "a:1 b:2 c:1 d:2 e:3");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_said_reaches_redis_with_the_keys_of_its_room),
        TEST(test_what_is_said_in_an_iteration_shares_a_call_in_order),
        TEST(test_each_nonce_has_its_key_in_order_and_who_has_none_has_no_key),
        TEST(test_each_room_has_its_own_call),
        TEST(test_what_is_said_in_the_next_iteration_waits_for_no_answer),
        TEST(test_what_is_said_after_a_flush_is_in_the_next_call),
        TEST(test_a_flush_of_nothing_sends_nothing),
        TEST(test_what_follows_what_was_said_does_not_overtake_it),
        TEST(test_a_call_has_a_bound_and_what_is_beyond_it_goes_in_the_next),
        TEST(test_a_call_has_a_bound_of_bytes_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
