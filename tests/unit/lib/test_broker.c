/* The scripted Redis that other tests rely on, with the connection that the program has to a real
 * one. */
#include "unit.h"

#include "broker.h"

#include "redis/client.h"

#include <event2/event.h>

struct world {
    struct event_base *base;
    struct broker *broker;
    struct redis_url url;
    struct metrics metrics;
    struct redis *redis;
    unsigned turn;
    char heard[256]; /* what came: each with a space behind it */
};

static void hear(struct world *world, const char *text)
{
    size_t len = strlen(world->heard);
    snprintf(world->heard + len, sizeof world->heard - len, "%s ", text);
}

static void on_ready(void *arg)
{
    hear(arg, "ready");
}

static void on_lost(void *arg, const char *why)
{
    (void)why;
    hear(arg, "lost");
}

static void on_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    (void)error;
}

static void on_push(void *arg, const struct redis_reply *message)
{
    hear(arg, redis_reply_string(redis_reply_at(message, 2), NULL));
}

static void on_reply(void *arg, const struct redis_reply *reply)
{
    const char *text = redis_reply_string(reply, NULL);
    hear(arg, reply == NULL ? "none" : text == NULL ? "other" : text);
}

static bool is_ready(void *arg)
{
    return redis_is_ready(((struct world *)arg)->redis);
}

static void flush(void *redis)
{
    redis_flush(redis);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    const struct redis_callbacks callbacks = {on_ready, on_lost, on_error, on_push};
    world->base = event_base_new();
    world->broker = broker_new(world->base);
    assert_null(redis_url_parse(broker_url(world->broker), &world->url));
    const struct redis_options options = {.base = world->base,
                                          .url = &world->url,
                                          .turn = &world->turn,
                                          .client_name = "unit",
                                          .subscriber = true,
                                          .most = {1 << 20, 1 << 20},
                                          .metrics = &world->metrics};
    world->redis = redis_new(&options, &callbacks, world);
    broker_follow(world->broker, flush, world->redis);
    broker_run_until(world->broker, is_ready, world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    redis_free(world->redis);
    broker_free(world->broker);
    event_base_free(world->base);
    free(world);
    return 0;
}

static void test_broker_answers_in_the_order_in_which_it_was_asked(void **state)
{
    struct world *world = *state;
    redis_send_strings(world->redis, on_reply, world, "GET", "a", NULL);
    redis_send_strings(world->redis, on_reply, world, "GET", "b", NULL);
    struct broker_call *first = broker_await(world->broker, "GET");
    struct broker_call *second = broker_await(world->broker, "GET");
    assert_string_equal(broker_argument(first, 1), "a");
    assert_string_equal(broker_argument(second, 1), "b");
    broker_answer(second, "'%s'", "two");
    broker_settle(world->broker);
    assert_string_equal(world->heard, "ready ");
    broker_answer(first, "-ERR one");
    broker_settle(world->broker);
    assert_string_equal(world->heard, "ready ERR one two ");
}

static void test_broker_hands_on_what_is_published(void **state)
{
    struct world *world = *state;
    broker_publish(world->broker, "c", "early");
    redis_send_strings(world->redis, on_reply, world, "SUBSCRIBE", "c", NULL);
    broker_await(world->broker, "SUBSCRIBE");
    assert_true(broker_is_heard(world->broker, "c"));
    broker_publish(world->broker, "c", "%d", 7);
    broker_publish(world->broker, "another", "unheard");
    broker_settle(world->broker);
    assert_string_equal(world->heard, "ready other 7 ");
}

static void test_broker_that_drops_a_connection_leaves_calls_unanswered(void **state)
{
    struct world *world = *state;
    redis_send_strings(world->redis, on_reply, world, "GET", "a", NULL);
    struct broker_call *call = broker_await(world->broker, "GET");
    broker_set_away(world->broker, true);
    broker_settle(world->broker);
    broker_answer(call, "'late'");
    assert_non_null(strstr(world->heard, "none "));
    assert_null(strstr(world->heard, "late"));
    broker_set_away(world->broker, false);
    broker_run_until(world->broker, is_ready, world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_broker_answers_in_the_order_in_which_it_was_asked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broker_hands_on_what_is_published, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broker_that_drops_a_connection_leaves_calls_unanswered,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
