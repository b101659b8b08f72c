#include "redis/cluster_client.h"

#include "base/memory.h"
#include "redis/cluster_router.h"
#include "redis/pipeline.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HISTORIES_MOST = 64, /* nodes whose history is named */
    HISTORIES_BYTES = HISTORIES_MOST * CLUSTER_HISTORY_BYTES + 1,
};

struct cluster_client {
    struct cluster *cluster;
    struct redis_options options;
    struct redis_callbacks callbacks;
    void *arg;
    struct cluster_listener listener;
    struct cluster_links *links;
    struct cluster_router *router;
    struct event *deferred;
    struct pipeline failed; /* who is told in the next iteration that no answer will come, */
    bool news;              /* and on_ready or on_places is called in it */
    bool stopped;
    uint64_t push_place;
    struct redis_server server;
    char histories[HISTORIES_BYTES];
};

/* --- Links --- */

static void tell_soon(struct cluster_client *client)
{
    client->news = true;
    event_active(client->deferred, EV_TIMEOUT, 0);
}

static void on_deferred(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct cluster_client *client = arg;
    bool news = client->news;
    metrics_begin_iteration(client->options.metrics);
    client->news = false;
    pipeline_fail(&client->failed);
    if (!news || !cluster_is_up(client->cluster))
        return;
    if (client->options.subscriber)
        client->callbacks.on_places(client->arg);
    else
        client->callbacks.on_ready(client->arg);
}

static void on_link_ready(void *arg, struct cluster_link *link)
{
    struct cluster_client *client = arg;
    (void)link;
    cluster_router_retry(client->router);
    tell_soon(client);
}

static void on_link_lost(void *arg, struct cluster_link *link)
{
    struct cluster_client *client = arg;
    (void)link;
    if (client->options.subscriber)
        tell_soon(client);
}

/* What the client sees to itself is no fault. Of the others only this node can be the wrong one. */
static void on_link_error(void *arg, struct cluster_link *link, const struct redis_error *error)
{
    struct cluster_client *client = arg;
    struct redis_error other = *error;
    if (cluster_router_sees_to(error)) {
        client->options.metrics->redis_redirections++;
        return;
    }
    if (error->verdict == REDIS_RECONNECT) {
        redis_connection_reconnect(link->connection, error->text);
        other.verdict = REDIS_PROBE;
    }
    client->callbacks.on_error(client->arg, &other);
}

static void on_link_push(void *arg, struct cluster_link *link, const struct redis_reply *reply)
{
    struct cluster_client *client = arg;
    client->push_place = link->place;
    client->callbacks.on_push(client->arg, reply);
    client->push_place = 0;
}

static void on_link_freed(void *arg, struct cluster_link *link)
{
    cluster_router_forget_link(((struct cluster_client *)arg)->router, link);
}

/* --- The cluster --- */

static void on_up(void *arg)
{
    struct cluster_client *client = arg;
    client->callbacks.on_ready(client->arg);
}

static void on_map(void *arg)
{
    struct cluster_client *client = arg;
    cluster_links_follow(client->links);
    cluster_router_retry(client->router);
    if (client->options.subscriber)
        tell_soon(client);
}

static void on_hint(void *arg)
{
    struct cluster_client *client = arg;
    if (client->options.subscriber)
        tell_soon(client);
}

static void on_cluster_lost(void *arg, const char *why)
{
    struct cluster_client *client = arg;
    client->callbacks.on_lost(client->arg, why);
}

/* --- What client.h has --- */

struct cluster_client *cluster_client_new(const struct redis_options *options,
                                          const struct redis_callbacks *callbacks, void *arg)
{
    struct cluster_client *client = memory_new(sizeof *client);
    client->cluster = options->cluster;
    client->options = *options;
    client->callbacks = *callbacks;
    client->arg = arg;
    client->deferred = event_new(options->base, -1, 0, on_deferred, client);
    client->links =
        cluster_links_new(options, &(struct cluster_links_callbacks){.on_ready = on_link_ready,
                                                                     .on_lost = on_link_lost,
                                                                     .on_error = on_link_error,
                                                                     .on_push = on_link_push,
                                                                     .on_freed = on_link_freed,
                                                                     .arg = client});
    client->router =
        cluster_router_new(options->base, client->cluster, client->links, options->metrics);
    client->listener = (struct cluster_listener){.on_up = on_up,
                                                 .on_map = on_map,
                                                 .on_hint = on_hint,
                                                 .on_lost = on_cluster_lost,
                                                 .arg = client};
    cluster_listen(client->cluster, &client->listener);
    return client;
}

void cluster_client_stop(struct cluster_client *client)
{
    client->stopped = true;
    list_remove(&client->listener.link);
    cluster_links_stop(client->links); /* what is under way is answered from within */
    cluster_router_stop(client->router);
    event_del(client->deferred);
    pipeline_fail(&client->failed);
}

void cluster_client_free(struct cluster_client *client)
{
    cluster_client_stop(client);
    cluster_links_free(client->links);
    cluster_router_free(client->router);
    event_free(client->deferred);
    pipeline_done(&client->failed);
    free(client);
}

bool cluster_client_is_ready(const struct cluster_client *client)
{
    return !client->stopped && cluster_is_up(client->cluster);
}

bool cluster_client_is_whole(const struct cluster_client *client)
{
    return cluster_links_are_whole(client->links);
}

size_t cluster_client_count_given_up(const struct cluster_client *client)
{
    return cluster_links_count_given_up(client->links);
}

static struct cluster_link *home_link(struct cluster_client *client)
{
    return cluster_links_of_slot(client->links, cluster_home_slot(client->cluster));
}

const struct redis_server *cluster_client_server(const struct cluster_client *client)
{
    struct redis_server *server = &((struct cluster_client *)client)->server;
    uint64_t sum = 0;
    *server = (struct redis_server){0};
    if (client->options.subscriber)
        return server;
    for (struct cluster_link *link = NULL;
         (link = cluster_links_next(client->links, link)) != NULL;)
        if (link->in_map && link->run_id[0] != '\0') {
            sum += text_hash(link->run_id);
            snprintf(server->version, sizeof server->version, "%s",
                     redis_connection_server(link->connection)->version);
        }
    if (sum != 0)
        snprintf(server->run_id, sizeof server->run_id, "%016" PRIx64, sum);
    return server;
}

int64_t cluster_client_last_rx_ms(struct cluster_client *client)
{
    const struct cluster_link *link = home_link(client);
    return link == NULL ? 0 : redis_connection_last_rx_ms(link->connection);
}

void cluster_client_reconnect(struct cluster_client *client, const char *why)
{
    const struct cluster_link *link = home_link(client);
    cluster_refresh(client->cluster);
    if (link != NULL)
        redis_connection_reconnect(link->connection, why);
}

void cluster_client_reset_backoff(struct cluster_client *client)
{
    for (struct cluster_link *link = NULL;
         (link = cluster_links_next(client->links, link)) != NULL;)
        if (link->place != 0)
            redis_connection_reset_backoff(link->connection);
}

void cluster_client_flush(struct cluster_client *client)
{
    cluster_flush(client->cluster);
    for (struct cluster_link *link = NULL;
         (link = cluster_links_next(client->links, link)) != NULL;)
        redis_connection_flush(link->connection);
}

void cluster_client_mark_optional(struct cluster_client *client)
{
    cluster_router_mark_optional(client->router);
}

int cluster_client_send(struct cluster_client *client, const struct redis_words *words,
                        redis_done done, void *arg)
{
    if (!cluster_client_is_ready(client))
        return -1;
    return cluster_router_send(client->router, cluster_router_slot(client->router, words), words,
                               done, arg);
}

int cluster_client_send_beside(struct cluster_client *client, const char *key, size_t len,
                               const struct redis_words *words, redis_done done, void *arg)
{
    if (!cluster_client_is_ready(client))
        return -1;
    return cluster_router_send(client->router, cluster_slot(key, len), words, done, arg);
}

bool cluster_client_not_carried_out(const struct cluster_client *client)
{
    return cluster_router_not_carried_out(client->router);
}

void cluster_client_fail(struct cluster_client *client, redis_done done, void *arg)
{
    pipeline_push(&client->failed, done, arg, 0);
    event_active(client->deferred, EV_TIMEOUT, 0);
}

/* --- Places --- */

static struct cluster_link *link_of_key(struct cluster_client *client, const char *key)
{
    return cluster_links_of_slot(client->links, cluster_slot(key, strlen(key)));
}

uint64_t cluster_client_place(struct cluster_client *client, const char *key)
{
    const struct cluster_link *link = link_of_key(client, key);
    return link == NULL ? 0 : link->place;
}

/* The subscriptions that wait are asked for again with it, be the map another one or not. */
void cluster_client_look_again(struct cluster_client *client)
{
    cluster_refresh(client->cluster);
}

uint64_t cluster_client_push_place(const struct cluster_client *client)
{
    return client->push_place;
}

static struct cluster_link *link_at_place(const struct cluster_client *client, uint64_t place)
{
    struct cluster_link *link = NULL;
    while (place != 0 && (link = cluster_links_next(client->links, link)) != NULL)
        if (link->place == place)
            return link;
    return NULL;
}

int cluster_client_send_at(struct cluster_client *client, uint64_t place,
                           const struct redis_words *words, redis_done done, void *arg)
{
    struct cluster_link *link = link_at_place(client, place);
    return link == NULL ? -1 : redis_connection_send(link->connection, words, done, arg);
}

int cluster_client_unsubscribe_sharded_at(struct cluster_client *client, uint64_t place,
                                          const char *channel)
{
    struct cluster_link *link = link_at_place(client, place);
    return link == NULL ? -1 : redis_connection_unsubscribe_sharded(link->connection, channel);
}

size_t cluster_client_node(const struct cluster_client *client, const char *key, size_t len)
{
    return cluster_map_of(client->cluster)->slots[cluster_slot(key, len)];
}

const char *cluster_client_histories(struct cluster_client *client)
{
    size_t len = 0, count = 0;
    for (struct cluster_link *link = NULL;
         count < HISTORIES_MOST && (link = cluster_links_next(client->links, link)) != NULL;) {
        if (!link->in_map || link->history[0] == '\0')
            continue;
        len += (size_t)snprintf(client->histories + len, sizeof client->histories - len, " %s",
                                link->history);
        count++;
    }
    if (len == 0)
        client->histories[len++] = ' ';
    client->histories[len] = '\0';
    return client->histories;
}
