/* The scripted Redis that other tests rely on, with the connection that the program has to a real
 * one. */
#include "unit.h"

#include "fake_redis.h"

#include "redis/client.h"

#include <event2/event.h>

struct world {
    struct event_base *base;
    struct fake_redis *fake;
    struct redis_url url;
    struct metrics metrics;
    struct redis *redis;
    unsigned address_index;
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
    const struct redis_callbacks callbacks = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error, .on_push = on_push};
    world->base = event_base_new();
    world->fake = fake_redis_new(world->base);
    assert_null(redis_url_parse(fake_redis_url(world->fake), &world->url));
    const struct redis_options options = {.base = world->base,
                                          .url = &world->url,
                                          .address_index = &world->address_index,
                                          .client_name = "unit",
                                          .subscriber = true,
                                          .limits = {1 << 20, 1 << 20},
                                          .metrics = &world->metrics};
    world->redis = redis_new(&options, &callbacks, world);
    fake_redis_follow(world->fake, flush, world->redis);
    fake_redis_run_until(world->fake, is_ready, world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    redis_free(world->redis);
    fake_redis_free(world->fake);
    event_base_free(world->base);
    free(world);
    return 0;
}

static void test_fake_answers_in_the_order_in_which_it_was_asked(void **state)
{
    struct world *world = *state;
    redis_send_strings(world->redis, on_reply, world, "GET", "a", NULL);
    redis_send_strings(world->redis, on_reply, world, "GET", "b", NULL);
    struct fake_redis_call *first = fake_redis_await(world->fake, "GET");
    struct fake_redis_call *second = fake_redis_await(world->fake, "GET");
    assert_string_equal(fake_redis_argument(first, 1), "a");
    assert_string_equal(fake_redis_argument(second, 1), "b");
    fake_redis_answer(second, "'%s'", "two");
    fake_redis_settle(world->fake);
    assert_string_equal(world->heard, "ready ");
    fake_redis_answer(first, "-ERR one");
    fake_redis_settle(world->fake);
    assert_string_equal(world->heard, "ready ERR one two ");
}

static void test_fake_hands_on_what_is_published(void **state)
{
    struct world *world = *state;
    fake_redis_publish(world->fake, "c", "early");
    redis_send_strings(world->redis, on_reply, world, "SUBSCRIBE", "c", NULL);
    fake_redis_await(world->fake, "SUBSCRIBE");
    assert_true(fake_redis_is_subscribed(world->fake, "c"));
    fake_redis_publish(world->fake, "c", "%d", 7);
    fake_redis_publish(world->fake, "another", "unheard");
    fake_redis_settle(world->fake);
    assert_string_equal(world->heard, "ready other 7 ");
}

static void test_fake_that_drops_a_connection_leaves_calls_unanswered(void **state)
{
    struct world *world = *state;
    redis_send_strings(world->redis, on_reply, world, "GET", "a", NULL);
    struct fake_redis_call *call = fake_redis_await(world->fake, "GET");
    fake_redis_set_away(world->fake, true);
    fake_redis_settle(world->fake);
    fake_redis_answer(call, "'late'");
    assert_non_null(strstr(world->heard, "none "));
    assert_null(strstr(world->heard, "late"));
    fake_redis_set_away(world->fake, false);
    fake_redis_run_until(world->fake, is_ready, world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fake_answers_in_the_order_in_which_it_was_asked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fake_hands_on_what_is_published, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fake_that_drops_a_connection_leaves_calls_unanswered,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
