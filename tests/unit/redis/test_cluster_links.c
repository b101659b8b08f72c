/* Connections to the nodes of a cluster: how many there are, and how one ends. */
#include "unit.h"

#include "fake_redis.h"
#include "redis/cluster_links.h"
#include "skipping_clock.h"

#include <event2/event.h>

enum { PATIENCE_MS = 60000 };

static struct {
    struct event_base *base;
    struct fake_redis *fake;
    struct redis_url url;
    struct metrics metrics;
    struct cluster *cluster;
    struct cluster_links *links;
    struct cluster_link *ready; /* that was last */
    int lost, freed;
    size_t asked; /* for signs of life, at most */
} stage;

static void on_ready(void *arg, struct cluster_link *link)
{
    (void)arg;
    stage.ready = link;
}

static void on_lost(void *arg, struct cluster_link *link)
{
    (void)arg;
    (void)link;
    stage.lost++;
}

static void on_error(void *arg, struct cluster_link *link, const struct redis_error *error)
{
    (void)arg;
    (void)link;
    (void)error;
}

static void on_push(void *arg, struct cluster_link *link, const struct redis_reply *reply)
{
    (void)arg;
    (void)link;
    (void)reply;
}

static void on_freed(void *arg, struct cluster_link *link)
{
    (void)arg;
    (void)link;
    stage.freed++;
}

static int open_links_of(const char *url, bool subscriber)
{
    static const struct cluster_links_callbacks callbacks = {.on_ready = on_ready,
                                                             .on_lost = on_lost,
                                                             .on_error = on_error,
                                                             .on_push = on_push,
                                                             .on_freed = on_freed};
    memset(&stage, 0, sizeof stage);
    clock_stop();
    stage.base = event_base_new();
    stage.fake = fake_redis_new_on_port(stage.base);
    assert_null(redis_url_parse(url, &stage.url));
    stage.cluster = cluster_new(&(struct cluster_options){.base = stage.base,
                                                          .url = &stage.url,
                                                          .client_name = "unit",
                                                          .home_key = "home",
                                                          .patience_ms = PATIENCE_MS,
                                                          .metrics = &stage.metrics});
    stage.links = cluster_links_new(&(struct redis_options){.base = stage.base,
                                                            .url = &stage.url,
                                                            .client_name = "unit",
                                                            .subscriber = subscriber,
                                                            .limits = {1 << 20, 1 << 20},
                                                            .metrics = &stage.metrics,
                                                            .cluster = stage.cluster},
                                    &callbacks);
    return 0;
}

static int open_links(void **state)
{
    (void)state;
    return open_links_of("redis-cluster://127.0.0.1:1", false);
}

static int open_subscribing_links(void **state)
{
    (void)state;
    return open_links_of("redis-cluster://127.0.0.1:1", true);
}

static int close_links(void **state)
{
    (void)state;
    cluster_links_free(stage.links);
    cluster_free(stage.cluster);
    fake_redis_free(stage.fake);
    event_base_free(stage.base);
    clock_restart();
    return 0;
}

static struct cluster_link *find_at(int port)
{
    return cluster_links_find(stage.links, &(struct cluster_node){"127.0.0.1", port});
}

static void test_there_are_so_many_connections_at_most_wherever_nodes_send_us(void **state)
{
    (void)state;
    for (int port = 1; port <= CLUSTER_LINKS_MOST; port++)
        assert_non_null(find_at(port));
    assert_null(find_at(CLUSTER_LINKS_MOST + 1));
    assert_ptr_equal(find_at(7), find_at(7));
    for (size_t i = 0; i < CLUSTER_SLOTS; i++)
        assert_null(cluster_links_of_slot(stage.links, (unsigned)i));
}

static bool is_ready(void *arg)
{
    (void)arg;
    return stage.ready != NULL;
}

static bool has_freed(void *arg)
{
    (void)arg;
    return stage.freed > 0;
}

/* What a caller may do that is told that no answer will come: look where to ask instead. */
static void on_no_answer(void *arg, const struct redis_reply *reply)
{
    assert_null(reply);
    *(struct cluster_link **)arg = find_at(fake_redis_port(stage.fake));
}

static void test_who_is_told_of_the_end_of_a_connection_does_not_find_it_any_more(void **state)
{
    struct cluster_link *found = NULL;
    (void)state;
    struct cluster_link *link = find_at(fake_redis_port(stage.fake));
    fake_redis_run_until(stage.fake, is_ready, NULL);
    assert_int_equal(redis_connection_send_strings(link->connection, on_no_answer, &found, "GET",
                                                   "something", NULL),
                     0);
    clock_skip_ms(11000);
    fake_redis_run_until(stage.fake, has_freed, NULL);
    assert_non_null(found);
    assert_ptr_equal(found, cluster_links_next(stage.links, NULL));
    assert_null(cluster_links_next(stage.links, found));
}

/* --- Signs of life --- */

static bool was_asked(void *arg)
{
    (void)arg;
    return fake_redis_count(stage.fake, "INFO") + fake_redis_count(stage.fake, "PING") >
           stage.asked;
}

static bool has_lost_or_asked(void *arg)
{
    return stage.lost > 0 || was_asked(arg);
}

/* From here on nothing is answered. */
static void fall_silent(void)
{
    fake_redis_settle(stage.fake);
    fake_redis_always(stage.fake, "INFO", NULL);
    fake_redis_always(stage.fake, "PING", NULL);
    stage.asked = 0;
    while (was_asked(NULL))
        stage.asked++;
}

static void on_passed(evutil_socket_t fd, short events, void *passed)
{
    (void)fd;
    (void)events;
    *(bool *)passed = true;
}

static bool is_true(void *passed)
{
    return *(bool *)passed;
}

/* On the loop's own clock it is more than a second: links are looked after once at least. */
static void pass_a_tick(void)
{
    static const struct timeval a_tick = {1, 300000};
    bool passed = false;
    clock_skip_ms(1900);
    event_base_once(stage.base, -1, EV_TIMEOUT, on_passed, &passed, &a_tick);
    fake_redis_run_until(stage.fake, is_true, &passed);
}

/* Whether it says something is looked at when the deadline of the question has passed. */
static void test_a_node_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    struct cluster_link *link = find_at(fake_redis_port(stage.fake));
    fake_redis_run_until(stage.fake, is_ready, NULL);
    fall_silent();
    while (!was_asked(NULL))
        pass_a_tick();
    pass_a_tick();
    pass_a_tick();
    stage.asked++;
    assert_false(has_lost_or_asked(NULL));
    clock_skip_ms(1900);
    redis_connection_hold(link->connection);
    redis_connection_release(link->connection); /* looks at the deadline anew */
    fake_redis_run_until(stage.fake, has_lost_or_asked, NULL);
    assert_int_equal(stage.lost, 1);
}

/* --- Nodes that are away --- */

static bool is_lost(void *arg)
{
    (void)arg;
    return stage.lost > 0;
}

static bool is_ready_again(void *arg)
{
    return ((const struct cluster_link *)arg)->place != 0;
}

static void
test_a_node_is_not_waited_for_that_has_been_away_for_longer_than_that_is_worth(void **state)
{
    (void)state;
    struct cluster_link *link = find_at(fake_redis_port(stage.fake));
    link->in_map = true;
    assert_false(cluster_links_are_whole(stage.links));
    fake_redis_run_until(stage.fake, is_ready, NULL);
    assert_true(cluster_links_are_whole(stage.links));
    fake_redis_set_away(stage.fake, true);
    fake_redis_run_until(stage.fake, is_lost, NULL);
    clock_skip_ms(PATIENCE_MS);
    assert_false(cluster_links_are_whole(stage.links));
    assert_int_equal(cluster_links_count_given_up(stage.links), 0);
    clock_skip_ms(1);
    assert_true(cluster_links_are_whole(stage.links));
    assert_int_equal(cluster_links_count_given_up(stage.links), 1);
    fake_redis_set_away(stage.fake, false);
    fake_redis_run_until(stage.fake, is_ready_again, link);
    assert_true(cluster_links_are_whole(stage.links));
    assert_int_equal(cluster_links_count_given_up(stage.links), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_links, close_links)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_are_so_many_connections_at_most_wherever_nodes_send_us),
        TEST(test_who_is_told_of_the_end_of_a_connection_does_not_find_it_any_more),
        TEST(test_a_node_that_says_nothing_is_given_up),
        TEST(test_a_node_is_not_waited_for_that_has_been_away_for_longer_than_that_is_worth),
        cmocka_unit_test_setup_teardown(test_a_node_that_says_nothing_is_given_up,
                                        open_subscribing_links, close_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
