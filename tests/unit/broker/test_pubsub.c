/* Subscriptions in a cluster: each at the node of its channel, wherever that moves. */
#include "unit.h"

#include "cluster_stage.h"

#include "base/clock.h"
#include "broker/pubsub.h"

#define CHANNEL "yukizuri:{foo}" /* in the slot of HIGH_KEY */
#define OTHER   "yukizuri:{lobby}"

static struct pubsub *pubsub;
static char heard[500];

static void hear(const char *who, const char *what)
{
    size_t len = strlen(heard);
    if (strcmp(who, "b") != 0) /* it comes before or after */
        snprintf(heard + len, sizeof heard - len, "%s%s ", who, what);
}

static void on_subscribed(void *who)
{
    hear(who, "+");
}

static void on_unsubscribed(void *who)
{
    hear(who, "-");
}

static void on_published(void *who, const char *data, size_t len)
{
    assert_int_equal(strlen(data), len);
    hear(who, data);
}

static const struct pubsub_handler handler = {on_subscribed, on_unsubscribed, on_published, true};

static void open_pubsub(bool sharded)
{
    heard[0] = '\0';
    cluster_stage_open("", true);
    pubsub = pubsub_new(cluster_stage_client(), sharded, NULL);
    cluster_stage_follow(pubsub);
    pubsub_add(pubsub, CHANNEL, &handler, "a");
    pubsub_add(pubsub, OTHER, &handler, "b");
    cluster_stage_await_heard("ready ");
    pubsub_follow(pubsub);
    cluster_stage_await_count(UPPER, sharded ? "SSUBSCRIBE" : "SUBSCRIBE", 2);
}

static int open_classic(void **state)
{
    (void)state;
    open_pubsub(false);
    return 0;
}

static int open_sharded(void **state)
{
    (void)state;
    open_pubsub(true);
    return 0;
}

static int close_pubsub(void **state)
{
    (void)state;
    cluster_stage_stop();
    pubsub_free(pubsub);
    cluster_stage_close();
    return 0;
}

/* Since the last call. */
static const char *told(void)
{
    static char all[sizeof heard];
    cluster_stage_settle();
    memcpy(all, heard, sizeof all);
    heard[0] = '\0';
    return all;
}

static void push(int node, const char *kind, const char *channel, const char *data)
{
    char bytes[300];
    int len = snprintf(bytes, sizeof bytes, "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
                       strlen(kind), kind, strlen(channel), channel, strlen(data), data);
    fake_redis_push_bytes(cluster_stage_node(node), bytes, (size_t)len);
}

static void await_at(int node, const char *name, size_t count)
{
    cluster_stage_await_count(node, name, count);
}

static void await_refresh(void)
{
    redis_look_again(cluster_stage_client());
    cluster_stage_await_heard("places ");
}

static void test_a_channel_is_listened_on_at_the_node_of_its_slot(void **state)
{
    (void)state;
    assert_string_equal(told(), "a+ ");
    push(UPPER, "message", CHANNEL, "hello");
    assert_string_equal(told(), "ahello ");
    assert_int_equal(fake_redis_count(cluster_stage_node(LOWER), "SUBSCRIBE"), 0);
}

static void test_a_channel_whose_slot_moves_is_listened_on_there_and_here_no_more(void **state)
{
    (void)state;
    told();
    cluster_stage_tell_upper(SPARE);
    await_refresh();
    await_at(SPARE, "SUBSCRIBE", 2);
    assert_string_equal(told(), "a- a+ ");
    assert_int_equal(fake_redis_count(cluster_stage_node(UPPER), "UNSUBSCRIBE"), 2);
    push(UPPER, "message", CHANNEL, "late");
    push(SPARE, "message", CHANNEL, "here");
    assert_string_equal(told(), "ahere ");
}

static void test_a_node_that_is_lost_is_subscribed_to_again(void **state)
{
    (void)state;
    told();
    fake_redis_drop(cluster_stage_node(UPPER), FAKE_ALL);
    await_at(UPPER, "SUBSCRIBE", 4);
    assert_string_equal(told(), "a- a+ ");
}

static void test_a_channel_beside_a_key_is_listened_on_where_the_key_is(void **state)
{
    static const struct pubsub_handler silent = {.of_room = false};
    (void)state;
    pubsub_add_beside(pubsub, "beside", LOW_KEY, &silent, NULL);
    await_at(LOWER, "SUBSCRIBE", 1);
}

static void test_a_sharded_channel_that_is_taken_away_is_asked_for_again(void **state)
{
    (void)state;
    assert_string_equal(told(), "a+ ");
    push(UPPER, "smessage", CHANNEL, "hello");
    push(UPPER, "sunsubscribe", CHANNEL, "1");
    assert_string_equal(told(), "ahello a- ");
    pubsub_tick(pubsub);
    await_at(UPPER, "SSUBSCRIBE", 3);
    assert_string_equal(told(), "a+ ");
}

/* SUNSUBSCRIBE may be answered with an error, which is nobody's answer. */
static void test_a_channel_that_is_left_does_not_disturb_the_answers_of_others(void **state)
{
    (void)state;
    told();
    fake_redis_always(cluster_stage_node(UPPER), "SUNSUBSCRIBE", "-MOVED 1 127.0.0.1:1");
    pubsub_remove(pubsub, CHANNEL);
    pubsub_add(pubsub, CHANNEL "2", &handler, "c");
    await_at(UPPER, "SSUBSCRIBE", 3);
    assert_string_equal(told(), "c+ ");
    push(UPPER, "smessage", CHANNEL "2", "x");
    assert_string_equal(told(), "cx ");
}

static void test_a_node_that_has_not_the_slot_is_no_refusal(void **state)
{
    static char moved[100];
    (void)state;
    told();
    snprintf(moved, sizeof moved, "%s", cluster_stage_redirect("MOVED", HIGH_KEY, SPARE));
    fake_redis_always(cluster_stage_node(UPPER), "SSUBSCRIBE", moved);
    pubsub_add(pubsub, CHANNEL "2", &handler, "c");
    await_at(UPPER, "SSUBSCRIBE", 3);
    assert_string_equal(told(), "");
    assert_null(pubsub_refused(pubsub, CHANNEL "2"));
    cluster_stage_tell_upper(SPARE);
    await_refresh();
    await_at(SPARE, "SSUBSCRIBE", 3);
    assert_non_null(strstr(told(), "c+ "));
}

/* Nobody says anything there, which would show it. */
static void test_a_channel_whose_node_has_not_the_slot_is_looked_for_soon(void **state)
{
    static char moved[100];
    (void)state;
    int64_t begin_ms = clock_monotonic_ms();
    snprintf(moved, sizeof moved, "%s", cluster_stage_redirect("MOVED", HIGH_KEY, SPARE));
    fake_redis_always(cluster_stage_node(UPPER), "SSUBSCRIBE", moved);
    cluster_stage_tell_upper(SPARE);
    pubsub_add(pubsub, CHANNEL "2", &handler, "c");
    await_at(SPARE, "SSUBSCRIBE", 3);
    assert_in_range(clock_monotonic_ms() - begin_ms, 0, 3000);
}

#define CLASSIC(name) cmocka_unit_test_setup_teardown(name, open_classic, close_pubsub)
#define SHARDED(name) cmocka_unit_test_setup_teardown(name, open_sharded, close_pubsub)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLASSIC(test_a_channel_is_listened_on_at_the_node_of_its_slot),
        CLASSIC(test_a_channel_whose_slot_moves_is_listened_on_there_and_here_no_more),
        CLASSIC(test_a_node_that_is_lost_is_subscribed_to_again),
        CLASSIC(test_a_channel_beside_a_key_is_listened_on_where_the_key_is),
        SHARDED(test_a_sharded_channel_that_is_taken_away_is_asked_for_again),
        SHARDED(test_a_channel_that_is_left_does_not_disturb_the_answers_of_others),
        SHARDED(test_a_node_that_has_not_the_slot_is_no_refusal),
        SHARDED(test_a_channel_whose_node_has_not_the_slot_is_looked_for_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
