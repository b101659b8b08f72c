/* Nodes whose names have two addresses, of which only the second one leads to them. */
#include "unit.h"

#include "fake_redis.h"
#include "redis/client.h"
#include "redis/cluster.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

#define NAME "node.example"

static struct {
    struct event_base *base;
    struct fake_redis *fake;
    char map[300];
    struct redis_url url;
    struct metrics metrics;
    struct cluster *cluster;
    struct redis *client;
} stage;

/* --- The name server --- */

struct found {
    struct addrinfo info;
    struct sockaddr_in address;
};

static struct addrinfo *new_address(const char *text, const char *port, struct addrinfo *next)
{
    struct found *found = calloc(1, sizeof *found);
    found->address.sin_family = AF_INET;
    found->address.sin_port = htons((uint16_t)atoi(port));
    inet_pton(AF_INET, text, &found->address.sin_addr);
    found->info.ai_family = AF_INET;
    found->info.ai_addr = (struct sockaddr *)&found->address;
    found->info.ai_addrlen = sizeof found->address;
    found->info.ai_next = next;
    return &found->info;
}

/* In place of the library's. Nobody listens at the first address. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)hints;
    if (strcmp(host, NAME) != 0)
        return EAI_NONAME;
    *out = new_address("127.0.0.2", port, new_address("127.0.0.1", port, NULL));
    return 0;
}

void freeaddrinfo(struct addrinfo *all)
{
    while (all != NULL) {
        struct addrinfo *next = all->ai_next;
        free(all);
        all = next;
    }
}

/* --- The cluster --- */

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_lost(void *arg, const char *why)
{
    (void)arg;
    (void)why;
}

static void open_client(bool subscriber)
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_nothing, .on_lost = on_lost, .on_places = on_nothing};
    char url[100];
    memset(&stage, 0, sizeof stage);
    stage.base = event_base_new();
    stage.fake = fake_redis_new_on_port(stage.base);
    int port = fake_redis_port(stage.fake);
    snprintf(stage.map, sizeof stage.map,
             "[['slots', [0, 16383], 'nodes', [['port', %d, 'endpoint', '" NAME
             "', 'role', 'master', 'health', 'online']]]]",
             port);
    fake_redis_always(stage.fake, "CLUSTER", stage.map);
    snprintf(url, sizeof url, "redis-cluster://" NAME ":%d", port);
    assert_null(redis_url_parse(url, &stage.url));
    stage.cluster = cluster_new(&(struct cluster_options){.base = stage.base,
                                                          .url = &stage.url,
                                                          .client_name = "unit",
                                                          .home_key = "home",
                                                          .metrics = &stage.metrics});
    stage.client = redis_new(&(struct redis_options){.base = stage.base,
                                                     .url = &stage.url,
                                                     .client_name = "unit",
                                                     .subscriber = subscriber,
                                                     .limits = {1 << 20, 1 << 20},
                                                     .metrics = &stage.metrics,
                                                     .cluster = stage.cluster},
                             &callbacks, NULL);
}

static int close_client(void **state)
{
    (void)state;
    redis_free(stage.client);
    cluster_free(stage.cluster);
    fake_redis_free(stage.fake);
    event_base_free(stage.base);
    return 0;
}

/* --- Tests --- */

static bool has_place(void *arg)
{
    (void)arg;
    return redis_is_ready(stage.client) && redis_place(stage.client, "key") != 0;
}

static void test_commands_reach_a_node_at_its_second_address(void **state)
{
    (void)state;
    open_client(false);
    fake_redis_run_until(stage.fake, has_place, NULL);
}

static void test_subscriptions_reach_a_node_at_its_second_address(void **state)
{
    (void)state;
    open_client(true);
    fake_redis_run_until(stage.fake, has_place, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_commands_reach_a_node_at_its_second_address, close_client),
        cmocka_unit_test_teardown(test_subscriptions_reach_a_node_at_its_second_address,
                                  close_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
