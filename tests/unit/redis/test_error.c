/* What error replies of Redis mean, how they are counted, and what of them reaches the log. */
#include "unit.h"

#include "log_file.h"

#include "redis/error.h"
#include "redis/error_log.h"
#include "redis/resp_decode.h"
#include "telemetry/log.h"

static struct redis_error read_error(const char *text)
{
    struct redis_error error;
    redis_error_read(text, strlen(text), &error);
    return error;
}

static void test_each_error_has_a_word_and_a_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
        enum redis_verdict verdict;
    } known[] = {
        {"OTHEREPOCH Redis lost its memory", "OTHEREPOCH", REDIS_EXPECTED},
        {"NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT", REDIS_EXPECTED},
        {"READONLY You can't write against a read only replica.", "READONLY", REDIS_RECONNECT},
        {"MASTERDOWN Link with MASTER is down", "MASTERDOWN", REDIS_RECONNECT},
        {"LOADING Redis is loading the dataset in memory", "LOADING", REDIS_RECONNECT},
        {"CLUSTERDOWN Hash slot not served", "CLUSTERDOWN", REDIS_RECONNECT},
        {"NOAUTH Authentication required.", "NOAUTH", REDIS_RECONNECT},
        {"OOM command not allowed when used memory > 'maxmemory'.", "OOM", REDIS_PROBE},
        {"MISCONF Redis is configured to save RDB snapshots", "MISCONF", REDIS_PROBE},
        {"NOPERM this user has no permissions", "NOPERM", REDIS_PROBE},
        {"MOVED 1234 127.0.0.1:6380", "MOVED", REDIS_RECONNECT},
        {"ERR syntax error", "ERR", REDIS_PROBE},
        {"SOMETHING of a Redis that is still to come", "other", REDIS_PROBE},
        {"READONLYNESS is another word", "other", REDIS_PROBE},
        {"", "other", REDIS_PROBE},
        /* raised again in a script, by Redis 6 and 7 */
        {"ERR Error running script (call to f_0): @user_script:3: -READONLY You can't write",
         "READONLY", REDIS_RECONNECT},
        {"ERR user_script:99: OOM command not allowed script: 0, on @user_script:99.", "OOM",
         REDIS_PROBE},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct redis_error error = read_error(known[i].text);
        assert_string_equal(error.word, known[i].word);
        assert_int_equal(error.verdict, known[i].verdict);
    }
}

static void test_behind_an_error_stands_what_to_do_also_when_it_is_long(void **state)
{
    (void)state;
    char text[400] = "WRONGPASS ";
    assert_string_equal(
        read_error("MOVED 1 10.0.0.1:6379").text,
        "MOVED 1 10.0.0.1:6379; this is a node of a cluster: write redis-cluster://");
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    assert_non_null(
        strstr(read_error(text).text, "x; check the user in the URL, and redis-password-file"));
}

static void test_arguments_that_redis_repeats_are_left_out_and_change_no_verdict(void **state)
{
    (void)state;
    const struct redis_error error =
        read_error("ERR unknown command 'AUTH', with args beginning with: 's3cret' 'READONLY x' ");
    assert_string_equal(error.text, "ERR unknown command 'AUTH'");
    assert_string_equal(error.word, "ERR");
}

static void test_a_long_error_is_cut(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(strlen(read_error(text).text), 159);
}

static void test_an_error_is_one_line(void **state)
{
    static const char text[] = "ERR no\nMAINPID=1\r\x7f\0end";
    struct redis_error error;
    (void)state;
    redis_error_read(text, sizeof text - 1, &error);
    assert_string_equal(error.text, "ERR no MAINPID=1   end");
}

/* --- Each of them is seen --- */

static char seen[256];

enum { MOST_BYTES = 1 << 20 };

static void on_error(void *arg, const char *text, size_t len)
{
    (void)arg;
    assert_int_equal(strlen(text), len);
    strncat(seen, text, sizeof seen - strlen(seen) - 1);
    strncat(seen, ".", sizeof seen - strlen(seen) - 1);
}

static void test_an_error_is_seen_wherever_it_stands_and_in_any_pieces(void **state)
{
    (void)state;
    static const char stream[] = "-ERR one\r\n"
                                 "*3\r\n:1\r\n-OOM two\r\n*1\r\n-NOPERM three\r\n"
                                 "$4\r\n-ERR\r\n";
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct redis_replies *replies = redis_replies_new(
            &(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, on_error, NULL);
        const struct redis_reply *reply;
        seen[0] = '\0';
        for (size_t at = 0; at < sizeof stream - 1; at += piece) {
            size_t left = sizeof stream - 1 - at;
            redis_replies_feed(replies, stream + at, left < piece ? left : piece);
            do
                assert_int_equal(redis_replies_next(replies, &reply), 0);
            while (reply != NULL);
        }
        assert_string_equal(seen, "ERR one.OOM two.NOPERM three.");
        redis_replies_free(replies);
    }
}

/* --- Counting and telling --- */

static void note(struct error_log *faults, const char *text, int times)
{
    const struct redis_error error = read_error(text);
    for (int i = 0; i < times; i++)
        error_log_note(faults, &error);
}

static void test_what_its_sender_can_do_without_is_no_fault_but_the_wrong_redis_is(void **state)
{
    static const char denied[] = "NOPERM this user has no permissions to run the 'config' command";
    static const char replica[] = "MASTERDOWN Link with MASTER is down";
    struct redis_error error;
    (void)state;
    redis_error_read(denied, sizeof denied - 1, &error);
    redis_error_mark_optional(&error);
    assert_int_equal(error.verdict, REDIS_EXPECTED);
    assert_string_equal(error.word, "optional");
    redis_error_read(replica, sizeof replica - 1, &error);
    redis_error_mark_optional(&error);
    assert_int_equal(error.verdict, REDIS_RECONNECT);
    assert_string_equal(error.word, "MASTERDOWN");
}

static void test_the_first_of_each_kind_is_logged_and_then_once_a_minute_how_many_more(void **state)
{
    (void)state;
    static struct metrics metrics;
    struct log *log = log_file_open();
    struct error_log *faults = error_log_new(&metrics, log);
    error_log_tick(faults, 1000);
    note(faults, "READONLY no", 100);
    note(faults, "NOPERM time", 3);
    note(faults, "NOPERM script", 3);
    note(faults, "OTHEREPOCH ours", 3);
    error_log_tick(faults, 60999);
    error_log_tick(faults, 61000);
    error_log_tick(faults, 121000); /* a minute without any */
    note(faults, "READONLY no", 1);
    for (int i = 0; i < 100; i++) { /* texts that are all different are no way to fill the log */
        char text[32];
        snprintf(text, sizeof text, "ERR number %d", i);
        note(faults, text, 1);
    }
    error_log_free(faults);
    log_close(log);
    assert_int_equal(log_file_count("err:READONLY no"), 2);
    assert_int_equal(log_file_count("err:NOPERM time"), 1);
    assert_int_equal(log_file_count("err:NOPERM script"), 1);
    assert_int_equal(log_file_count("message:99 more in the last minute\terr:READONLY"), 1);
    assert_int_equal(log_file_count("message:4 more in the last minute\terr:NOPERM"), 1);
    assert_int_equal(log_file_count("err:ERR number"), 4);
    assert_int_equal(log_file_count("kind:redis-error"), 10);
    assert_int_equal(log_file_count("OTHEREPOCH"), 0);
    assert_string_equal(metrics.redis_errors.words[0], "READONLY");
    assert_int_equal(metrics.redis_errors.counts[0], 101);
    log_file_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_error_has_a_word_and_a_verdict),
        cmocka_unit_test(test_behind_an_error_stands_what_to_do_also_when_it_is_long),
        cmocka_unit_test(test_arguments_that_redis_repeats_are_left_out_and_change_no_verdict),
        cmocka_unit_test(test_a_long_error_is_cut),
        cmocka_unit_test(test_an_error_is_one_line),
        cmocka_unit_test(test_an_error_is_seen_wherever_it_stands_and_in_any_pieces),
        cmocka_unit_test(test_what_its_sender_can_do_without_is_no_fault_but_the_wrong_redis_is),
        cmocka_unit_test(
            test_the_first_of_each_kind_is_logged_and_then_once_a_minute_how_many_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
