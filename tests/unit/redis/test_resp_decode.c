/* Replies of Redis, in any pieces; the commands that wait for them. */
#include "unit.h"

#include "redis/pipeline.h"
#include "redis/resp_decode.h"

static const char stream[] = "*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$5\r\nhe\0lo\r\n"
                             ":42\r\n"
                             "$2\r\n17\r\n"
                             "$-1\r\n"
                             "-OTHEREPOCH no\r\n"
                             "*2\r\n*2\r\n:1\r\n$0\r\n\r\n+OK\r\n"
                             "*0\r\n"
                             "*-1\r\n";
enum { REPLIES = 8, STREAM_LEN = sizeof stream - 1, MOST_BYTES = 1 << 20 };

static void check_reply(int number, const struct redis_reply *reply)
{
    size_t len;
    const struct redis_reply *inner = redis_reply_at(reply, 0);
    switch (number) {
    case 0:
        assert_int_equal(redis_reply_count(reply), 3);
        assert_string_equal(redis_reply_string(inner, NULL), "message");
        assert_memory_equal(redis_reply_string(redis_reply_at(reply, 2), &len), "he\0lo", 6);
        assert_int_equal(len, 5);
        assert_null(redis_reply_at(reply, 3));
        break;
    case 1:
        assert_int_equal(redis_reply_integer(reply), 42);
        assert_null(redis_reply_string(reply, &len));
        assert_int_equal(len, 0);
        break;
    case 2:
        assert_int_equal(redis_reply_integer(reply), 17);
        break;
    case 3:
        assert_null(redis_reply_string(reply, NULL));
        assert_false(redis_reply_is_error(reply));
        break;
    case 4:
        assert_true(redis_reply_is_error(reply));
        assert_string_equal(redis_reply_string(reply, NULL), "OTHEREPOCH no");
        break;
    case 5:
        assert_int_equal(redis_reply_integer(redis_reply_at(inner, 0)), 1);
        assert_string_equal(redis_reply_string(redis_reply_at(inner, 1), NULL), "");
        assert_string_equal(redis_reply_string(redis_reply_at(reply, 1), NULL), "OK");
        break;
    default: /* an empty array, and none */
        assert_int_equal(redis_reply_count(reply), 0);
        assert_null(redis_reply_at(reply, 0));
    }
}

/* Takes what is complete; returns how many replies have come so far. */
static int take(struct redis_replies *replies, int seen)
{
    const struct redis_reply *reply;
    while (assert_int_equal(redis_replies_next(replies, &reply), 0), reply != NULL)
        check_reply(seen++, reply);
    return seen;
}

static void test_replies_come_in_any_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= STREAM_LEN; piece++) {
        struct redis_replies *replies = redis_replies_new(
            &(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
        int seen = 0;
        for (size_t at = 0; at < STREAM_LEN; at += piece) {
            size_t left = STREAM_LEN - at;
            redis_replies_feed(replies, stream + at, left < piece ? left : piece);
            seen = take(replies, seen);
        }
        assert_int_equal(seen, REPLIES);
        redis_replies_free(replies);
    }
}

static void test_a_new_connection_forgets_half_a_reply(void **state)
{
    (void)state;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
    redis_replies_feed(replies, stream, 30);
    assert_int_equal(take(replies, 0), 0);
    redis_replies_begin(replies);
    redis_replies_feed(replies, stream, STREAM_LEN);
    assert_int_equal(take(replies, 0), REPLIES);
    redis_replies_free(replies);
}

static void test_the_last_reply_outlives_its_connection(void **state)
{
    (void)state;
    const struct redis_reply *reply;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
    redis_replies_feed(replies, "$3\r\nabc\r\n", 9);
    assert_int_equal(redis_replies_next(replies, &reply), 0);
    redis_replies_begin(replies);
    assert_string_equal(redis_reply_string(reply, NULL), "abc");
    redis_replies_free(replies);
}

static void test_a_copy_has_all_of_a_reply_and_outlives_it(void **state)
{
    (void)state;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
    struct redis_reply *copies[REPLIES];
    const struct redis_reply *reply;
    redis_replies_feed(replies, stream, STREAM_LEN);
    for (int i = 0; i < REPLIES; i++) {
        assert_int_equal(redis_replies_next(replies, &reply), 0);
        copies[i] = redis_reply_copy(reply);
    }
    redis_replies_free(replies);
    for (int i = 0; i < REPLIES; i++) {
        check_reply(i, copies[i]);
        redis_reply_free(copies[i]);
    }
    assert_null(redis_reply_copy(NULL));
    redis_reply_free(NULL);
}

static void test_what_is_not_resp_is_an_error(void **state)
{
    (void)state;
    const struct redis_reply *reply;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
    redis_replies_feed(replies, "HTTP/1.1 200 OK\r\n", 17);
    assert_int_equal(redis_replies_next(replies, &reply), -1);
    redis_replies_begin(replies);
    redis_replies_feed(replies, "+OK\r\n", 5);
    assert_int_equal(redis_replies_next(replies, &reply), 0);
    assert_string_equal(redis_reply_string(reply, NULL), "OK");
    redis_replies_free(replies);
}

/* However it is cut, and whatever comes before it; then a new connection is as good as the first.
 */
static void must_be_refused(const char *announced, int error)
{
    const struct redis_reply *reply;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){1000, 1000}, NULL, NULL);
    static char filling[600];
    memset(filling, 'x', sizeof filling);
    for (size_t piece = 1; piece <= strlen(announced); piece++) {
        int found = 0;
        redis_replies_begin(replies);
        for (size_t at = 0; at < strlen(announced) && found == 0; at += piece) {
            redis_replies_feed(replies, announced + at, strnlen(announced + at, piece));
            found = redis_replies_next(replies, &reply);
            assert_null(reply);
        }
        for (int more = 0; more < 3 && found == 0; more++) {
            redis_replies_feed(replies, filling, sizeof filling);
            found = redis_replies_next(replies, &reply);
        }
        assert_int_equal(found, error);
        assert_true(strlen(redis_replies_why(found)) > 0);
    }
    redis_replies_begin(replies);
    redis_replies_feed(replies, "+OK\r\n", 5);
    assert_int_equal(redis_replies_next(replies, &reply), 0);
    assert_string_equal(redis_reply_string(reply, NULL), "OK");
    redis_replies_free(replies);
}

static void test_a_reply_takes_no_more_memory_than_is_allowed(void **state)
{
    (void)state;
    must_be_refused("*2147483647\r\n", REDIS_REPLIES_TOO_LONG);
    must_be_refused("*2\r\n:1\r\n*100000000\r\n", REDIS_REPLIES_TOO_LONG);
    must_be_refused("$9223372036854775807\r\n", REDIS_REPLIES_TOO_LONG);
    must_be_refused("*2\r\n+OK\r\n$500000000\r\n", REDIS_REPLIES_TOO_LONG);
    must_be_refused("+", REDIS_REPLIES_TOO_LONG);
    must_be_refused("*8\r\n*8\r\n*8\r\n*8\r\n*8\r\n*8\r\n*8\r\n*8\r\n*8\r\n*8\r\n",
                    REDIS_REPLIES_BROKEN);
}

static void test_many_short_strings_may_take_more_than_a_long_one(void **state)
{
    (void)state;
    const struct redis_reply *reply;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){100000, 100}, NULL, NULL);
    redis_replies_feed(replies, "*1000\r\n", 7);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(redis_replies_next(replies, &reply), 0);
        assert_null(reply);
        redis_replies_feed(replies, "$5\r\nhello\r\n", 11);
    }
    assert_int_equal(redis_replies_next(replies, &reply), 0);
    assert_int_equal(redis_reply_count(reply), 1000);
    redis_replies_free(replies);
}

static void test_what_was_taken_before_is_not_counted(void **state)
{
    (void)state;
    const struct redis_reply *reply;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){200, 200}, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        redis_replies_feed(replies, "*2\r\n$5\r\nhello\r\n:1\r\n", 19);
        assert_int_equal(redis_replies_next(replies, &reply), 0);
        assert_int_equal(redis_reply_count(reply), 2);
    }
    redis_replies_free(replies);
}

static void test_a_number_that_no_room_can_have_reads_as_0(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } cases[] = {
        {":7\r\n", 7},
        {"$2\r\n17\r\n", 17},
        {":4503599627370495\r\n", 4503599627370495},
        {":4503599627370496\r\n", 0},
        {":9223372036854775807\r\n", 0},
        {":-9223372036854775808\r\n", 0},
        {"$30\r\n999999999999999999999999999999\r\n", 0},
        {"+OK\r\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct redis_reply *reply;
        struct redis_replies *replies = redis_replies_new(
            &(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
        redis_replies_feed(replies, cases[i].text, strlen(cases[i].text));
        assert_int_equal(redis_replies_next(replies, &reply), 0);
        assert_int_equal(redis_reply_number(reply), cases[i].number);
        redis_replies_free(replies);
    }
}

static void test_no_reply_reads_as_an_error_and_as_nothing(void **state)
{
    (void)state;
    assert_true(redis_reply_is_error(NULL));
    assert_int_equal(redis_reply_integer(NULL), 0);
    assert_null(redis_reply_string(NULL, NULL));
    assert_int_equal(redis_reply_count(NULL), 0);
    assert_null(redis_reply_at(NULL, 0));
}

/* --- Who waits --- */

static struct pipeline pipeline;

static void count_answer(void *arg, const struct redis_reply *reply)
{
    int *answers = arg;
    assert_null(reply);
    ++*answers;
}
static char answered[4096];
static int pushes;

static void on_done(void *arg, const struct redis_reply *reply)
{
    const char *name = arg;
    strcat(answered, name);
    strcat(answered, reply == NULL ? "-" : "+");
    if (pushes > 0) {
        pushes--;
        pipeline_push(&pipeline, on_done, "n", 900);
    }
}

static const struct redis_reply *a_reply(void)
{
    static struct redis_replies *replies;
    const struct redis_reply *reply;
    redis_replies_free(replies);
    replies =
        redis_replies_new(&(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
    redis_replies_feed(replies, "+OK\r\n", 5);
    redis_replies_next(replies, &reply);
    return reply;
}

static void test_answers_come_in_order_and_late_ones_are_dropped(void **state)
{
    (void)state;
    const struct redis_reply *reply = a_reply();
    answered[0] = '\0';
    assert_int_equal(pipeline_deadline_ms(&pipeline), 0);
    pipeline_answer(&pipeline, reply); /* for nobody */
    pipeline_push(&pipeline, on_done, "a", 100);
    pipeline_push(&pipeline, NULL, NULL, 150);
    pipeline_push(&pipeline, on_done, "b", 200);
    assert_int_equal(pipeline_deadline_ms(&pipeline), 100);
    assert_int_equal(pipeline_expire(&pipeline, 99), 0);
    assert_int_equal(pipeline_expire(&pipeline, 160), 2);
    assert_int_equal(pipeline_deadline_ms(&pipeline), 200);
    pipeline_answer(&pipeline, reply);
    pipeline_answer(&pipeline, reply);
    assert_string_equal(answered, "a-");
    pipeline_answer(&pipeline, reply);
    assert_string_equal(answered, "a-b+");
    assert_int_equal(pipeline_deadline_ms(&pipeline), 0);
    pipeline_done(&pipeline);
}

static void test_callbacks_may_send_further_commands(void **state)
{
    (void)state;
    answered[0] = '\0';
    pushes = 40; /* the ring grows from within */
    for (int i = 0; i < 16; i++)
        pipeline_push(&pipeline, on_done, "o", 100);
    assert_int_equal(pipeline_expire(&pipeline, 100), 16);
    for (int i = 0; i < 16; i++)
        pipeline_answer(&pipeline, a_reply()); /* late */
    for (int i = 0; i < 10; i++)
        pipeline_answer(&pipeline, a_reply());
    pipeline_fail(&pipeline);
    assert_int_equal(strlen(answered), 2 * (16 + 40));
    assert_int_equal(strspn(answered, "o-"), 32);
    assert_memory_equal(answered + 32, "n+n+n+n+n+n+n+n+n+n+n-", 22);
    assert_int_equal(strspn(answered + 52, "n-"), strlen(answered) - 52);
    pipeline_done(&pipeline);
}

static void test_what_is_overdue_has_a_second_more_when_this_process_was_held_up(void **state)
{
    int answers = 0;
    (void)state;
    pipeline_push(&pipeline, count_answer, &answers, 100);
    pipeline_push(&pipeline, count_answer, &answers, 5000);
    assert_int_equal(pipeline_expire(&pipeline, 1101), 0);
    assert_int_equal(pipeline_deadline_ms(&pipeline), 2101);
    assert_int_equal(pipeline_expire(&pipeline, 2101), 1);
    assert_int_equal(answers, 1);
    assert_int_equal(pipeline_expire(&pipeline, 6000), 1);
    assert_int_equal(answers, 2);
    pipeline_done(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_come_in_any_pieces),
        cmocka_unit_test(test_a_new_connection_forgets_half_a_reply),
        cmocka_unit_test(test_the_last_reply_outlives_its_connection),
        cmocka_unit_test(test_a_copy_has_all_of_a_reply_and_outlives_it),
        cmocka_unit_test(test_what_is_not_resp_is_an_error),
        cmocka_unit_test(test_a_reply_takes_no_more_memory_than_is_allowed),
        cmocka_unit_test(test_many_short_strings_may_take_more_than_a_long_one),
        cmocka_unit_test(test_what_was_taken_before_is_not_counted),
        cmocka_unit_test(test_a_number_that_no_room_can_have_reads_as_0),
        cmocka_unit_test(test_no_reply_reads_as_an_error_and_as_nothing),
        cmocka_unit_test(test_answers_come_in_order_and_late_ones_are_dropped),
        cmocka_unit_test(test_callbacks_may_send_further_commands),
        cmocka_unit_test(test_what_is_overdue_has_a_second_more_when_this_process_was_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
