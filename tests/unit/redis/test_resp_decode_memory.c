/* Where hiredis has no memory left, whole replies are given up to there, and then an error. */
#include "unit.h"

#include "failing_malloc.h"
#include "redis/resp_decode.h"

static const char input[] = "+OK\r\n"
                            ":42\r\n"
                            "*3\r\n$3\r\none\r\n*1\r\n:7\r\n$-1\r\n"
                            "-ERR no\r\n"
                            "$5\r\nhello\r\n";

static const struct redis_reply_limits limits = {10000, 1000};

/* The `index`-th one. */
static void check_reply(unsigned index, const struct redis_reply *reply)
{
    static const char *const strings[] = {"OK", NULL, NULL, "ERR no", "hello"};
    if (strings[index] != NULL)
        assert_string_equal(redis_reply_string(reply, NULL), strings[index]);
    else if (index == 1)
        assert_int_equal(redis_reply_integer(reply), 42);
    if (index != 2)
        return;
    assert_int_equal(redis_reply_count(reply), 3);
    assert_string_equal(redis_reply_string(redis_reply_at(reply, 0), NULL), "one");
    assert_int_equal(redis_reply_integer(redis_reply_at(redis_reply_at(reply, 1), 0)), 7);
    assert_null(redis_reply_string(redis_reply_at(reply, 2), NULL));
}

/* Returns an error; `count` goes on with each reply. What is checked meanwhile needs no memory. */
static int take_all(struct redis_replies *replies, unsigned *count)
{
    const struct redis_reply *reply;
    int error;
    while ((error = redis_replies_next(replies, &reply)) == 0 && reply != NULL)
        check_reply((*count)++, reply);
    return error;
}

/* Returns whether an allocation has failed. */
static bool read_without(unsigned n, enum failing_malloc how, size_t piece)
{
    unsigned count = 0;
    int error = 0;
    struct redis_replies *replies = redis_replies_new(&limits, NULL, NULL);
    failing_malloc_begin(n, how);
    for (size_t at = 0; at < sizeof input - 1 && error == 0; at += piece) {
        size_t left = sizeof input - 1 - at;
        redis_replies_feed(replies, input + at, left < piece ? left : piece);
        error = take_all(replies, &count);
    }
    bool failed = failing_malloc_end();
    redis_replies_free(replies);
    assert_true(error == 0 ? count == 5 : error == REDIS_REPLIES_NO_MEMORY && count < 5);
    assert_true(failed || error == 0);
    return failed;
}

static void test_whole_replies_are_given_or_an_error(void **state)
{
    static const enum failing_malloc hows[] = {FAILING_ONCE, FAILING_ONWARD};
    (void)state;
    for (size_t how = 0; how < 2; how++) {
        for (size_t piece = 1; piece < sizeof input; piece++) {
            unsigned n = 1;
            while (read_without(n, hows[how], piece))
                n++;
            assert_true(n > 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_replies_are_given_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
