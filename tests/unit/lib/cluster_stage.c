#include "unit.h"

#include "cluster_stage.h"

#include "broker/pubsub.h"
#include "redis/script.h"
#include "redis_stage.h"

#include <event2/event.h>

enum { MAP_BYTES = 600 };

static struct {
    struct event_base *base;
    struct fake_redis *nodes[CLUSTER_STAGE_NODES];
    struct redis_url url;
    struct metrics metrics;
    struct cluster *cluster;
    struct redis *client;
    struct pubsub *pubsub;
    char maps[8][MAP_BYTES]; /* rules of a fake must outlive it */
    size_t map_count;
    char heard[512];
    char why[512];
} stage;

/* --- What the client tells --- */

static void hear(const char *word, const char *more)
{
    size_t len = strlen(stage.heard);
    snprintf(stage.heard + len, sizeof stage.heard - len, "%s%s ", word, more);
}

static void on_ready(void *arg)
{
    (void)arg;
    hear("ready", "");
}

static void on_lost(void *arg, const char *why)
{
    (void)arg;
    hear("lost", "");
    snprintf(stage.why, sizeof stage.why, "%s", why);
}

static void on_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    if (error->verdict != REDIS_EXPECTED)
        hear("error ", error->word);
}

static void on_push(void *arg, const struct redis_reply *reply)
{
    const char *kind = redis_reply_string(redis_reply_at(reply, 0), NULL);
    const char *data = redis_reply_string(redis_reply_at(reply, 2), NULL);
    (void)arg;
    if (stage.pubsub != NULL)
        pubsub_on_push(stage.pubsub, reply);
    else
        hear(kind, data == NULL ? "" : data);
}

static void on_places(void *arg)
{
    (void)arg;
    hear("places", "");
    if (stage.pubsub != NULL)
        pubsub_follow(stage.pubsub);
}

void cluster_stage_follow(struct pubsub *pubsub)
{
    stage.pubsub = pubsub;
}

const char *cluster_stage_heard(void)
{
    static char heard[sizeof stage.heard];
    memcpy(heard, stage.heard, sizeof heard);
    stage.heard[0] = '\0';
    return heard;
}

const char *cluster_stage_why(void)
{
    return stage.why;
}

static bool has_heard(void *what)
{
    return strstr(stage.heard, what) != NULL;
}

void cluster_stage_await_heard(const char *what)
{
    fake_redis_run_until(stage.nodes[LOWER], has_heard, (void *)(uintptr_t)what);
}

/* --- Nodes --- */

static void flush(void *arg)
{
    (void)arg;
    if (stage.client != NULL)
        redis_flush(stage.client);
}

void cluster_stage_tell_upper(int node)
{
    char *map = stage.maps[stage.map_count++];
    assert_true(stage.map_count <= sizeof stage.maps / sizeof *stage.maps);
    snprintf(map, MAP_BYTES,
             "[['slots', [0, 8191], 'nodes', [['port', %d, 'endpoint', '127.0.0.1', 'role', "
             "'master', 'health', 'online']]], ['slots', [8192, 16383], 'nodes', [['port', %d, "
             "'endpoint', '127.0.0.1', 'role', 'master', 'health', 'online']]]]",
             fake_redis_port(stage.nodes[LOWER]), fake_redis_port(stage.nodes[node]));
    for (int i = 0; i < CLUSTER_STAGE_NODES; i++)
        fake_redis_always(stage.nodes[i], "CLUSTER", map);
}

void cluster_stage_open(const char *seeds, bool subscriber)
{
    static const struct redis_callbacks callbacks = {.on_ready = on_ready,
                                                     .on_lost = on_lost,
                                                     .on_error = on_error,
                                                     .on_push = on_push,
                                                     .on_places = on_places};
    char url[300];
    memset(&stage, 0, sizeof stage);
    redis_stage_told();
    script_hash_all();
    stage.base = event_base_new();
    for (int i = 0; i < CLUSTER_STAGE_NODES; i++) {
        stage.nodes[i] = fake_redis_new_on_port(stage.base);
        fake_redis_always(stage.nodes[i], "ASKING", "+OK");
        fake_redis_follow(stage.nodes[i], flush, NULL);
    }
    cluster_stage_tell_upper(UPPER);
    int len = snprintf(url, sizeof url, "redis-cluster://%s", seeds);
    if (seeds[0] == '\0' || seeds[strlen(seeds) - 1] == ',')
        snprintf(url + len, sizeof url - (size_t)len, "127.0.0.1:%d",
                 fake_redis_port(stage.nodes[LOWER]));
    assert_null(redis_url_parse(url, &stage.url));
    const struct cluster_options shape = {.base = stage.base,
                                          .url = &stage.url,
                                          .client_name = "unit",
                                          .home_key = HIGH_KEY,
                                          .metrics = &stage.metrics};
    stage.cluster = cluster_new(&shape);
    const struct redis_options options = {.base = stage.base,
                                          .url = &stage.url,
                                          .client_name = "unit",
                                          .subscriber = subscriber,
                                          .limits = {1 << 20, 1 << 20},
                                          .metrics = &stage.metrics,
                                          .cluster = stage.cluster};
    stage.client = redis_new(&options, &callbacks, NULL);
}

static bool is_whole(void *arg)
{
    (void)arg;
    return redis_is_whole(stage.client);
}

static bool has_places(void *arg)
{
    (void)arg;
    return redis_place(stage.client, LOW_KEY) != 0 && redis_place(stage.client, HIGH_KEY) != 0;
}

void cluster_stage_start(bool subscriber)
{
    cluster_stage_open("", subscriber);
    cluster_stage_await_heard("ready ");
    fake_redis_run_until(stage.nodes[LOWER], subscriber ? has_places : is_whole, NULL);
    cluster_stage_settle();
    cluster_stage_heard();
}

void cluster_stage_stop(void)
{
    redis_stop(stage.client);
}

void cluster_stage_close(void)
{
    redis_free(stage.client);
    stage.client = NULL;
    cluster_free(stage.cluster);
    for (int i = 0; i < CLUSTER_STAGE_NODES; i++)
        fake_redis_free(stage.nodes[i]);
    event_base_free(stage.base);
}

struct fake_redis *cluster_stage_node(int node)
{
    return stage.nodes[node];
}

struct redis *cluster_stage_client(void)
{
    return stage.client;
}

struct metrics *cluster_stage_metrics(void)
{
    return &stage.metrics;
}

const char *cluster_stage_redirect(const char *word, const char *key, int node)
{
    static char text[100];
    snprintf(text, sizeof text, "-%s %u 127.0.0.1:%d", word, cluster_slot(key, strlen(key)),
             fake_redis_port(stage.nodes[node]));
    return text;
}

int cluster_stage_get(const char *key)
{
    return redis_send_strings(stage.client, redis_stage_tell, (void *)(uintptr_t)key, "GET", key,
                              NULL);
}

void cluster_stage_settle(void)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < CLUSTER_STAGE_NODES; i++)
            fake_redis_settle(stage.nodes[i]);
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

void cluster_stage_pass_a_while(void)
{
    static const struct timeval a_while = {0, 70000};
    bool passed = false;
    event_base_once(stage.base, -1, EV_TIMEOUT, on_passed, &passed, &a_while);
    fake_redis_run_until(stage.nodes[LOWER], is_true, &passed);
}

struct count {
    int node;
    const char *name;
    size_t least;
};

static bool have_come(void *arg)
{
    const struct count *count = arg;
    return fake_redis_count(stage.nodes[count->node], count->name) >= count->least;
}

void cluster_stage_await_count(int node, const char *name, size_t count)
{
    struct count wanted = {node, name, count};
    fake_redis_run_until(stage.nodes[node], have_come, &wanted);
}
