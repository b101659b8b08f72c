#include "redis/cluster.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "redis/loss_reason.h"
#include "redis/tls.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFRESH_MS = 5000, /* what nobody runs into shows after so long */
    AGAIN_MS = 100,    /* two questions are so far apart at least */
    ANSWER_MS = 1000,  /* a node has so long to be reached, and so long to answer */
    ROUND_MS = 1000,   /* while all have doubts, all are connected to so seldom */
    LOST_MS = 5000,    /* without an answer: none can be reached */
    WHY_BYTES = LOSS_REASON_BYTES + 320,
    REPLY_BYTES = 8 << 20, /* a map of so many nodes and of slots that alternate */
    STRING_BYTES = 64 << 10,
};

struct cluster {
    struct cluster_options options;
    char *client_name;
    unsigned home_slot;
    struct cluster_map map;
    struct link listeners;
    struct event *timer;  /* the next question, or the deadline of the one under way */
    struct event *hinted; /* listeners are told in the next iteration */
    /* --- The node that is asked --- */
    struct redis_connection *connection; /* NULL: none */
    struct cluster_endpoint endpoint;
    size_t candidate; /* among the nodes of the map and then the seeds */
    size_t failures;  /* in a row */
    unsigned rounds;  /* in which none was of use: of each name another address is tried in each */
    int64_t round_ms; /* when a whole round had brought nothing better than doubt; 0: never */
    bool under_way;   /* it has to answer, or to be reached, before its deadline */
    bool failed;      /* it is of no use; dropped by the timer */
    bool doubtful;    /* it says that the cluster is down, or knows less than another did */
    bool wanted;      /* ask again soon */
    uint64_t epoch;   /* the newest that any node has told of */
    int64_t asked_ms, answered_ms; /* 0: never */
    bool up;
    char why[WHY_BYTES];
    struct redis_tls *tls; /* of all connections; NULL: none is wanted, or there is none yet */
};

/* --- Endpoints --- */

/* Made before the first node is asked, and once: it reads files. */
static bool have_tls(struct cluster *cluster, char *error, size_t error_size)
{
    const struct redis_url *url = cluster->options.url;
    if (url->tls && cluster->tls == NULL)
        cluster->tls = redis_tls_new(redis_url_first_host(url), error, error_size);
    return !url->tls || cluster->tls != NULL;
}

struct cluster_endpoint cluster_endpoint_of(const struct cluster *cluster,
                                            const struct cluster_node *node)
{
    return (struct cluster_endpoint){
        .url = redis_url_of_server(cluster->options.url, node->host, node->port),
        .tls = cluster->tls,
    };
}

void cluster_log_node(const struct cluster *cluster, const struct redis_url *node, const char *why)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 96];
    struct log_line line = {.message = message, .err = why};
    redis_url_format(node, where);
    if (why != NULL)
        line.level = LOG_LEVEL_WARN, line.kind = "redis-node-lost";
    else
        line.kind = "redis-node-up";
    snprintf(message, sizeof message, "%s, a node of the cluster, is %s", where,
             why != NULL ? "out of reach; trying again until it is there or replaced" : "there");
    log_write(cluster->options.log, &line);
}

/* --- Telling --- */

void cluster_listen(struct cluster *cluster, struct cluster_listener *listener)
{
    list_init(&listener->link);
    list_add(&cluster->listeners, &listener->link);
}

static struct cluster_listener *listener_at(struct link *at)
{
    return LIST_ITEM(at, struct cluster_listener, link);
}

static void tell_map(struct cluster *cluster)
{
    cluster->options.metrics->redis_nodes = cluster->map.node_count;
    for (struct link *at = cluster->listeners.next; at != &cluster->listeners; at = at->next)
        listener_at(at)->on_map(listener_at(at)->arg);
}

static void tell_up(struct cluster *cluster)
{
    cluster->up = true;
    cluster->why[0] = '\0';
    for (struct link *at = cluster->listeners.next; at != &cluster->listeners; at = at->next)
        listener_at(at)->on_up(listener_at(at)->arg);
}

static void on_hinted(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct cluster *cluster = arg;
    metrics_begin_iteration(cluster->options.metrics);
    for (struct link *at = cluster->listeners.next; at != &cluster->listeners; at = at->next)
        listener_at(at)->on_hint(listener_at(at)->arg);
}

static void tell_lost(struct cluster *cluster)
{
    cluster->up = false;
    for (struct link *at = cluster->listeners.next; at != &cluster->listeners; at = at->next)
        listener_at(at)->on_lost(listener_at(at)->arg, cluster->why);
}

/* --- Whom to ask --- */

static size_t count_candidates(const struct cluster *cluster)
{
    return cluster->map.node_count + cluster->options.url->host_count;
}

static struct cluster_node candidate_node(const struct cluster *cluster)
{
    size_t at = cluster->candidate % count_candidates(cluster);
    if (at < cluster->map.node_count)
        return cluster->map.nodes[at];
    const struct redis_host *seed = &cluster->options.url->hosts[at - cluster->map.node_count];
    struct cluster_node node = {.port = seed->port};
    memcpy(node.host, seed->name, sizeof node.host);
    return node;
}

static void arm(struct cluster *cluster, int64_t after_ms)
{
    if (after_ms < 0)
        after_ms = 0;
    const struct timeval tv = {after_ms / 1000, after_ms % 1000 * 1000};
    evtimer_add(cluster->timer, &tv);
}

static void arm_next(struct cluster *cluster)
{
    int64_t since_ms = clock_monotonic_ms() - cluster->asked_ms;
    arm(cluster, (cluster->wanted ? AGAIN_MS : REFRESH_MS) - since_ms);
}

/* Whoever calls this may be in the middle of the connection's own business. */
static void give_up_node(struct cluster *cluster, const char *why)
{
    const struct redis_url *url = &cluster->endpoint.url;
    if (cluster->failed)
        return;
    snprintf(cluster->why, sizeof cluster->why, "no node of the cluster can be used; %.255s:%d: %s",
             url->host, url->port, why);
    cluster->failed = true;
    cluster->under_way = false;
    arm(cluster, 0);
}

static void drop_node(struct cluster *cluster)
{
    redis_connection_free(cluster->connection);
    cluster->connection = NULL;
    cluster->failed = cluster->under_way = false;
}

/* --- The answers --- */

static void take_map(struct cluster *cluster, struct cluster_map *map)
{
    bool news = !cluster_map_is_same(map, &cluster->map);
    cluster->answered_ms = clock_monotonic_ms();
    cluster->failures = 0;
    cluster->under_way = false;
    if (news) {
        cluster_map_done(&cluster->map);
        cluster->map = *map;
        tell_map(cluster);
    } else {
        cluster_map_done(map);
    }
    if (!cluster->up)
        tell_up(cluster);
    arm_next(cluster);
}

/* One that knows less than another did is believed when no other can be asked, and for a while
 * after that. */
static bool is_to_be_believed(const struct cluster *cluster)
{
    bool lately = cluster->round_ms != 0 && clock_monotonic_ms() - cluster->round_ms < ROUND_MS;
    return !cluster->doubtful || lately || cluster->failures + 1 >= count_candidates(cluster);
}

static void take_answer(struct cluster *cluster, struct cluster_map *map)
{
    if (is_to_be_believed(cluster)) {
        if (cluster->doubtful && cluster->failures > 0)
            cluster->round_ms = clock_monotonic_ms();
        take_map(cluster, map);
        return;
    }
    cluster_map_done(map);
    give_up_node(cluster, "it says that the cluster is down, or knows less than others");
}

static struct cluster_asked asked(const struct cluster *cluster)
{
    return (struct cluster_asked){cluster->endpoint.url.host, cluster->endpoint.url.tls};
}

static void refuse_answer(struct cluster *cluster, const struct redis_reply *reply)
{
    struct redis_error error;
    char why[WHY_BYTES];
    if (reply == NULL) {
        give_up_node(cluster, "it does not answer");
    } else if (redis_reply_error(reply, &error)) {
        snprintf(why, sizeof why, "Redis refused: %s%s", error.text,
                 strstr(error.text, "cluster support disabled") == NULL
                     ? ""
                     : "; for a server without a cluster write redis://");
        give_up_node(cluster, why);
    } else {
        give_up_node(cluster, "it knows no node that has slots");
    }
}

static void on_slots(void *arg, const struct redis_reply *reply)
{
    struct cluster *cluster = arg;
    const struct cluster_asked where = asked(cluster);
    struct cluster_map map;
    if (cluster->failed)
        return;
    if (cluster_map_read_slots(reply, &where, &map) == 0)
        take_answer(cluster, &map);
    else
        refuse_answer(cluster, reply);
}

/* Before Redis 7, or for a user without that right, there is the older command. */
static void on_shards(void *arg, const struct redis_reply *reply)
{
    struct cluster *cluster = arg;
    const struct cluster_asked where = asked(cluster);
    struct cluster_map map;
    if (cluster->failed)
        return;
    if (cluster_map_read_shards(reply, &where, &map) == 0)
        take_answer(cluster, &map);
    else if (reply == NULL || redis_connection_send_strings(cluster->connection, on_slots, cluster,
                                                            "CLUSTER", "SLOTS", NULL) != 0)
        refuse_answer(cluster, reply);
    else
        redis_connection_flush(cluster->connection);
}

/* Of a node that was cut off from the others the map is an old one. */
static void on_info(void *arg, const struct redis_reply *reply)
{
    struct cluster *cluster = arg;
    const char *info = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    char state[8] = "ok", text[24] = "";
    cluster->doubtful = false;
    if (info == NULL)
        return;
    redis_info_field(info, "cluster_state", state, sizeof state);
    redis_info_field(info, "cluster_current_epoch", text, sizeof text);
    uint64_t epoch = strtoull(text, NULL, 10);
    cluster->doubtful = strcmp(state, "ok") != 0 || epoch < cluster->epoch;
    if (epoch > cluster->epoch || is_to_be_believed(cluster))
        cluster->epoch = epoch;
}

static void ask(struct cluster *cluster)
{
    struct redis_connection *connection = cluster->connection;
    cluster->wanted = false;
    cluster->under_way = true;
    cluster->asked_ms = clock_monotonic_ms();
    arm(cluster, ANSWER_MS);
    if (redis_connection_send_strings(connection, on_info, cluster, "CLUSTER", "INFO", NULL) == 0)
        redis_connection_mark_optional(connection);
    if (redis_connection_send_strings(connection, on_shards, cluster, "CLUSTER", "SHARDS", NULL) ==
        0)
        redis_connection_mark_optional(connection);
    redis_connection_flush(connection);
}

/* --- The connection --- */

static void on_node_ready(void *arg)
{
    ask(arg);
}

static void on_node_lost(void *arg, const char *why)
{
    give_up_node(arg, why);
}

/* What an error means here, its answer shows. */
static void on_node_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    (void)error;
}

static void connect_node(struct cluster *cluster)
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_node_ready, .on_lost = on_node_lost, .on_error = on_node_error};
    const struct cluster_node node = candidate_node(cluster);
    char error[256];
    bool good = have_tls(cluster, error, sizeof error);
    cluster->endpoint = cluster_endpoint_of(cluster, &node);
    cluster->endpoint.address_index = cluster->rounds;
    cluster->asked_ms = clock_monotonic_ms();
    if (!good) {
        give_up_node(cluster, error);
        return;
    }
    const struct redis_options options = {.base = cluster->options.base,
                                          .url = &cluster->endpoint.url,
                                          .tls = cluster->endpoint.tls,
                                          .address_index = &cluster->endpoint.address_index,
                                          .client_name = cluster->client_name,
                                          .limits = {REPLY_BYTES, STRING_BYTES},
                                          .metrics = cluster->options.metrics};
    cluster->connection = redis_connection_new(&options, &callbacks, cluster);
    cluster->under_way = true;
    arm(cluster, ANSWER_MS);
}

/* After a round in which none was of use there is a pause. */
static void turn_to_next(struct cluster *cluster)
{
    drop_node(cluster);
    cluster->candidate = (cluster->candidate + 1) % count_candidates(cluster);
    cluster->failures++;
    bool round_over = cluster->failures % count_candidates(cluster) == 0;
    bool lost = cluster->answered_ms == 0 || clock_monotonic_ms() - cluster->answered_ms > LOST_MS;
    cluster->rounds += round_over;
    if (round_over && lost)
        tell_lost(cluster);
    if (round_over)
        arm(cluster, AGAIN_MS);
    else
        connect_node(cluster);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct cluster *cluster = arg;
    metrics_begin_iteration(cluster->options.metrics);
    if (cluster->under_way)
        give_up_node(cluster, loss_reason_timeout(cluster->connection));
    if (cluster->failed)
        turn_to_next(cluster);
    else if (cluster->connection == NULL)
        connect_node(cluster);
    else if (redis_connection_is_ready(cluster->connection))
        ask(cluster);
}

void cluster_flush(struct cluster *cluster)
{
    if (cluster->connection != NULL)
        redis_connection_flush(cluster->connection);
}

void cluster_refresh(struct cluster *cluster)
{
    if (cluster->wanted)
        return;
    cluster->wanted = true;
    if (!cluster->under_way && !cluster->failed)
        arm_next(cluster);
}

void cluster_note_moved(struct cluster *cluster, const struct cluster_redirection *to)
{
    size_t node = cluster_map_find(&cluster->map, to->node.host, to->node.port);
    cluster_refresh(cluster);
    if (node == CLUSTER_NO_NODE || cluster->map.slots[to->slot] == node)
        return;
    cluster->map.slots[to->slot] = (uint16_t)node;
    event_active(cluster->hinted, EV_TIMEOUT, 0);
}

/* --- The whole --- */

struct cluster *cluster_new(const struct cluster_options *options)
{
    uint32_t random;
    struct cluster *cluster = memory_new(sizeof *cluster);
    cluster->options = *options;
    cluster->client_name = memory_copy_string(options->client_name);
    cluster->home_slot = cluster_slot(options->home_key, strlen(options->home_key));
    cluster_map_init(&cluster->map);
    list_init(&cluster->listeners);
    cluster->timer = evtimer_new(options->base, on_timer, cluster);
    cluster->hinted = event_new(options->base, -1, 0, on_hinted, cluster);
    digest_random(&random, sizeof random);
    cluster->candidate = random % options->url->host_count; /* not all gateways ask one node */
    arm(cluster, 0);
    return cluster;
}

void cluster_stop(struct cluster *cluster)
{
    evtimer_del(cluster->timer);
    event_del(cluster->hinted);
    cluster->failed = true; /* what is still told says nothing */
    redis_connection_free(cluster->connection);
    cluster->connection = NULL;
    evtimer_del(cluster->timer);
}

void cluster_free(struct cluster *cluster)
{
    if (cluster == NULL)
        return;
    cluster_stop(cluster);
    redis_tls_free(cluster->tls);
    event_free(cluster->timer);
    event_free(cluster->hinted);
    cluster_map_done(&cluster->map);
    free(cluster->client_name);
    free(cluster);
}

const struct cluster_map *cluster_map_of(const struct cluster *cluster)
{
    return &cluster->map;
}

bool cluster_is_up(const struct cluster *cluster)
{
    return cluster->up;
}

const char *cluster_why(const struct cluster *cluster)
{
    return cluster->why;
}

int64_t cluster_patience_ms(const struct cluster *cluster)
{
    return cluster->options.patience_ms;
}

unsigned cluster_home_slot(const struct cluster *cluster)
{
    return cluster->home_slot;
}

const struct redis_url *cluster_url(const struct cluster *cluster)
{
    return cluster->options.url;
}
