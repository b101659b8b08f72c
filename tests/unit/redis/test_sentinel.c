/* When answers of Sentinels count, and which. */
#include "unit.h"

#include "fake_redis.h"
#include "redis/sentinel.h"

#include <event2/event.h>

enum { SENTINELS = 2, OLD_PORT = 1001, NEW_PORT = 1002 };

static struct {
    struct event_base *base;
    struct fake_redis *fakes[SENTINELS];
    struct redis_url url;
    struct metrics metrics;
    struct sentinel *sentinel;
    int master; /* its port; 0: none was named yet */
    int asked;  /* rounds that have ended */
} stage;

static void on_master(void *arg, const struct sentinel_master *master)
{
    (void)arg;
    stage.master = master->host.port;
}

static void on_promoting(void *arg)
{
    (void)arg;
}

static void on_asked(void *arg, const char *why)
{
    (void)arg;
    (void)why;
    stage.asked++;
}

static int open_stage(void **state)
{
    static const struct sentinel_callbacks callbacks = {on_master, on_promoting, on_asked,
                                                        on_promoting};
    char url[100];
    (void)state;
    memset(&stage, 0, sizeof stage);
    stage.base = event_base_new();
    for (int i = 0; i < SENTINELS; i++)
        stage.fakes[i] = fake_redis_new_on_port(stage.base);
    snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d,127.0.0.1:%d/name",
             fake_redis_port(stage.fakes[0]), fake_redis_port(stage.fakes[1]));
    assert_null(redis_url_parse(url, &stage.url));
    stage.sentinel = sentinel_new(&(struct sentinel_options){.base = stage.base,
                                                             .url = &stage.url,
                                                             .password = "",
                                                             .client_name = "unit",
                                                             .metrics = &stage.metrics},
                                  &callbacks, NULL);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    sentinel_free(stage.sentinel);
    for (int i = 0; i < SENTINELS; i++)
        fake_redis_free(stage.fakes[i]);
    event_base_free(stage.base);
    return 0;
}

/* The next question of this kind. */
static struct fake_redis_call *await_question(int sentinel, const char *what)
{
    struct fake_redis_call *call = fake_redis_await(stage.fakes[sentinel], "SENTINEL");
    assert_string_equal(fake_redis_argument(call, 1), what);
    return call;
}

static void answer(int sentinel, int epoch, int port)
{
    fake_redis_answer(await_question(sentinel, "MASTER"), "['config-epoch', '%d']", epoch);
    fake_redis_answer(await_question(sentinel, "GET-MASTER-ADDR-BY-NAME"), "['127.0.0.1', '%d']",
                      port);
}

static void tell_id(int sentinel)
{
    fake_redis_answer(await_question(sentinel, "MYID"), "'id-%d'", sentinel);
}

static void settle(void)
{
    for (int i = 0; i < SENTINELS; i++)
        fake_redis_settle(stage.fakes[i]);
}

static bool has_asked(void *arg)
{
    return stage.asked >= *(const int *)arg;
}

/* All but what was asked by then, and is answered later, is of before the failover. */
static void test_an_answer_that_comes_after_its_round_counts(void **state)
{
    int rounds = 1;
    (void)state;
    for (int i = 0; i < SENTINELS; i++)
        tell_id(i);
    answer(0, 1, OLD_PORT);
    settle();
    while (!fake_redis_is_subscribed(stage.fakes[0], "+switch-master"))
        event_base_loop(stage.base, EVLOOP_ONCE);
    fake_redis_publish(stage.fakes[0], "+switch-master", "name 127.0.0.1 %d 127.0.0.1 %d", OLD_PORT,
                       NEW_PORT);
    settle();
    answer(1, 1, OLD_PORT);
    fake_redis_run_until(stage.fakes[0], has_asked, &rounds);
    assert_int_equal(stage.master, OLD_PORT);
    answer(0, 2, NEW_PORT);
    settle();
    assert_int_equal(stage.asked, rounds);
    assert_int_equal(stage.master, NEW_PORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_answer_that_comes_after_its_round_counts,
                                        open_stage, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
