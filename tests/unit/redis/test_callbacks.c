/* Callbacks run from the event loop only, never from within the call that caused them: with a Redis
 * of this test's own. */
#include "unit.h"

#include "base/clock.h"
#include "broker/broker.h"
#include "broker/publish_batch.h"
#include "redis/limiter.h"
#include "room/feed.h"

#include <event2/event.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_MS = 10000 };

static struct event_base *base;
static struct config config;
static struct metrics metrics;
static struct redis_url url;
static char directory[] = "/tmp/yukizuri-unit-XXXXXX";
static pid_t server;

static bool inside; /* a call that must not call back */
static char told[256];
static bool ready;
static struct redis *flushed; /* in each iteration; NULL: none */
static struct broker *flushed_broker;

static void tell(const char *what, const char *how)
{
    assert_false(inside);
    strncat(told, what, sizeof told - strlen(told) - 1);
    strncat(told, how, sizeof told - strlen(told) - 1);
}

static void on_done(void *arg, const struct redis_reply *reply)
{
    tell(arg, reply == NULL ? "-" : "+");
}

/* What goes out in each iteration (gateway/loop.h); nobody is told from within. */
static void flush(void)
{
    bool was_inside = inside;
    inside = true;
    if (flushed_broker != NULL)
        broker_flush(flushed_broker);
    if (flushed != NULL)
        redis_flush(flushed);
    inside = was_inside;
}

/* One iteration of the loop after the other, until `done`. */
static void run_until(bool (*done)(void))
{
    int64_t end_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (!done()) {
        struct timeval most = {0, 10000};
        assert_true(clock_monotonic_ms() < end_ms);
        flush();
        event_base_loopexit(base, &most);
        event_base_loop(base, EVLOOP_ONCE);
    }
}

static bool is_ready(void)
{
    return ready;
}

static bool is_told(void)
{
    return told[0] != '\0';
}

/* --- A connection --- */

static void on_ready(void *arg)
{
    (void)arg;
    assert_false(inside);
    ready = true;
}

static void on_lost(void *arg, const char *why)
{
    (void)arg;
    if (ready)
        tell("lost: ", why);
    ready = false;
}

static void on_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    (void)error;
    assert_false(inside);
}

static struct redis *connect_redis(void)
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error};
    static unsigned address_index;
    const struct redis_options options = {.address_index = &address_index,
                                          .limits = {1 << 20, 1 << 20},
                                          .base = base,
                                          .url = &url,
                                          .client_name = "test",
                                          .metrics = &metrics};
    inside = ready = false;
    told[0] = '\0';
    struct redis *redis = flushed = redis_new(&options, &callbacks, NULL);
    flushed_broker = NULL;
    run_until(is_ready);
    return redis;
}

static void ping(struct redis *redis, char *name)
{
    assert_int_equal(redis_send_strings(redis, on_done, name, "PING", NULL), 0);
}

static void drop(struct redis *redis)
{
    inside = true;
    redis_reconnect(redis, "dropped");
    inside = false;
    assert_false(redis_is_ready(redis));
    assert_int_equal(redis_send_strings(redis, on_done, "x", "PING", NULL), -1);
}

static void
test_who_waits_is_told_of_a_dropped_connection_at_the_next_iteration_in_order(void **state)
{
    (void)state;
    struct redis *redis = connect_redis();
    ping(redis, "a");
    ping(redis, "b");
    drop(redis);
    redis_fail(redis, on_done, "c");
    assert_string_equal(told, "");
    run_until(is_told);
    assert_string_equal(told, "a-b-c-lost: dropped");
    run_until(is_ready);
    redis_free(redis);
    assert_string_equal(told, "a-b-c-lost: dropped");
}

static void test_what_finds_no_connection_is_told_at_the_next_iteration(void **state)
{
    (void)state;
    struct redis *redis = connect_redis();
    inside = true;
    redis_fail(redis, on_done, "a");
    inside = false;
    run_until(is_told);
    assert_string_equal(told, "a-");
    assert_true(redis_is_ready(redis));
    redis_free(redis);
}

static struct redis *dropping;

static void on_done_drop(void *arg, const struct redis_reply *reply)
{
    on_done(arg, reply);
    drop(dropping);
}

static void test_a_callback_that_drops_the_connection_is_over_before_others_are_told(void **state)
{
    (void)state;
    dropping = connect_redis();
    assert_int_equal(redis_send_strings(dropping, on_done_drop, "a", "PING", NULL), 0);
    ping(dropping, "b");
    run_until(is_told);
    run_until(is_ready);
    assert_string_equal(told, "a+b-lost: dropped");
    redis_free(dropping);
}

/* The one exception. */
static void test_who_waits_when_it_is_stopped_is_told_from_within(void **state)
{
    (void)state;
    struct redis *redis = connect_redis();
    ping(redis, "a");
    drop(redis);
    redis_fail(redis, on_done, "b");
    redis_stop(redis);
    assert_string_equal(told, "a-b-");
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_string_equal(told, "a-b-");
    redis_free(redis);
}

static void test_calls_that_wait_in_a_limiter_end_in_order_at_the_next_iteration(void **state)
{
    (void)state;
    struct redis *redis = connect_redis();
    struct limiter *limiter = limiter_new(redis, 1);
    char *const names[] = {"1", "2", "3"};
    for (int i = 0; i < 3; i++) {
        struct script_call call;
        script_begin(&call, "recent");
        assert_int_equal(limiter_run(limiter, &call, 1, on_done, names[i]), 0);
    }
    drop(redis);
    inside = true;
    limiter_flush(limiter);
    inside = false;
    run_until(is_told);
    assert_string_equal(told, "1-2-3-lost: dropped");
    redis_stop(redis);
    limiter_stop(limiter);
    limiter_free(limiter);
    redis_free(redis);
}

/* --- What is said --- */

static void on_up(void *arg)
{
    (void)arg;
    ready = true;
}

static void on_control_message(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static const struct broker_callbacks broker_callbacks = {on_up, on_control_message};
static const struct feed_callbacks nobody;

static struct broker *connect_broker(void)
{
    char error[256] = "";
    const struct broker_options options = {base, &config, &url, &metrics, NULL};
    inside = ready = false;
    told[0] = '\0';
    struct broker *broker = flushed_broker =
        broker_new(&options, &broker_callbacks, NULL, error, sizeof error);
    flushed = NULL;
    assert_string_equal(error, "");
    run_until(is_ready);
    return broker;
}

/* Somebody has said something; then the connection is lost, in the same iteration of the loop. */
static struct feed *say_and_drop(struct broker *broker)
{
    static const struct publish_batch_say say = {"id", "\"from\":{}}", 10, NULL, NULL};
    struct feed *feed =
        feed_open(broker_commands(broker), broker_pubsub(broker), "room", &nobody, &url);
    assert_int_equal(commands_say(feed_topic(feed), &say, on_done, "said"), 0);
    redis_reconnect(broker_commands(broker)->redis, "dropped");
    return feed;
}

static void end(struct broker *broker, struct feed *feed)
{
    assert_string_equal(told, "");
    run_until(is_told);
    assert_string_equal(told, "said-");
    feed_close(feed);
    broker_stop(broker);
    broker_free(broker);
}

static void test_who_said_something_is_told_after_the_flush_that_found_no_connection(void **state)
{
    (void)state;
    struct broker *broker = connect_broker();
    struct feed *feed = say_and_drop(broker);
    inside = true;
    broker_flush(broker);
    inside = false;
    end(broker, feed);
}

static void test_who_said_something_is_told_after_a_typing_that_found_no_connection(void **state)
{
    (void)state;
    struct broker *broker = connect_broker();
    struct feed *feed = say_and_drop(broker);
    inside = true;
    assert_int_equal(commands_publish(feed_topic(feed), "{}"), -1);
    inside = false;
    end(broker, feed);
}

static void test_who_said_something_is_told_after_a_leave_that_found_no_connection(void **state)
{
    (void)state;
    const struct commands_leave leave = {
        .member = {.folded = "a", .name = "a", .address = "", .public_address = "", .session = "s"},
        .except_id = "",
    };
    struct broker *broker = connect_broker();
    struct feed *feed = say_and_drop(broker);
    inside = true;
    assert_int_equal(commands_leave(feed_topic(feed), &leave, 1, on_done, "left"), -1);
    inside = false;
    end(broker, feed);
}

/* --- A Redis --- */

static int start_redis(void **state)
{
    (void)state;
    static char *const arguments[] = {"yukizuri", NULL};
    static char *const environment[] = {NULL};
    assert_int_equal(config_load(&config, 1, arguments, environment).action, CONFIG_RUN);
    assert_non_null(mkdtemp(directory));
    url.scheme = REDIS_UNIX;
    snprintf(url.path, sizeof url.path, "%s/redis.sock", directory);
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it shall not outlive a test that fails */
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", url.path, "--save",
               "", "--dir", directory, "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
    signal(SIGPIPE, SIG_IGN);
    script_hash_all();
    base = event_base_new();
    return server > 0 ? 0 : -1;
}

static int stop_redis(void **state)
{
    (void)state;
    event_base_free(base);
    config_done(&config);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink(url.path);
    return rmdir(directory);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        TEST(test_who_waits_is_told_of_a_dropped_connection_at_the_next_iteration_in_order),
        TEST(test_what_finds_no_connection_is_told_at_the_next_iteration),
        TEST(test_a_callback_that_drops_the_connection_is_over_before_others_are_told),
        TEST(test_who_waits_when_it_is_stopped_is_told_from_within),
        TEST(test_calls_that_wait_in_a_limiter_end_in_order_at_the_next_iteration),
        TEST(test_who_said_something_is_told_after_the_flush_that_found_no_connection),
        TEST(test_who_said_something_is_told_after_a_typing_that_found_no_connection),
        TEST(test_who_said_something_is_told_after_a_leave_that_found_no_connection),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
