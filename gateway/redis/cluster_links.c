#include "redis/cluster_links.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/number.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_S = 1,
    QUIET_MS = 2000,   /* after so long it is asked for a sign of life, */
    SILENT_MS = 5000,  /* and given up when it says nothing for so long */
    HELD_UP_MS = 2000, /* between two ticks: this process did not run */
    UNUSED_MS = 10000, /* a node that is not in the map */
};

struct by_node {
    struct cluster_link *link; /* NULL: not looked for yet */
};

struct cluster_links {
    struct redis_options options;
    struct cluster_links_callbacks callbacks;
    char *client_name;
    struct link all;
    size_t count;
    struct by_node *by_node; /* by the node's index in the map */
    size_t by_node_count;
    struct event *timer;
    int64_t ticked_ms;
    uint64_t last_place;
    bool stopped;
};

static struct cluster_link *link_at(struct link *at)
{
    return LIST_ITEM(at, struct cluster_link, in_links);
}

/* --- Signs of life --- */

/* At its deadline it is no sign: whether anything else came is looked at by look_after. */
static void note_sign(struct cluster_link *link, const struct redis_reply *reply)
{
    if (reply != NULL)
        link->asked_ms = 0;
}

/* A replica's history is its master's. Whoever may not ask does not know. */
static void on_info(void *arg, const struct redis_reply *reply)
{
    struct cluster_link *link = arg;
    char role[8] = "";
    const char *info = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, NULL);
    note_sign(link, reply);
    link->history[0] = '\0';
    if (info == NULL || link->place == 0)
        return;
    redis_info_field(info, "role", role, sizeof role);
    if (strcmp(role, "master") == 0)
        redis_info_field(info, "master_replid", link->history, CLUSTER_HISTORY_BYTES);
}

static void on_pong(void *arg, const struct redis_reply *reply)
{
    note_sign(arg, reply);
}

/* Which history a node goes on with is asked for with it, where commands go. */
static void ask_for_sign(struct cluster_link *link, int64_t now_ms)
{
    bool subscriber = link->links->options.subscriber;
    int sent = subscriber
                   ? redis_connection_send_strings(link->connection, on_pong, link, "PING", NULL)
                   : redis_connection_send_strings(link->connection, on_info, link, "INFO",
                                                   "replication", NULL);
    if (sent != 0)
        return;
    redis_connection_mark_optional(link->connection);
    redis_connection_flush(link->connection);
    link->asked_ms = now_ms;
}

static void look_after(struct cluster_link *link, int64_t now_ms)
{
    int64_t heard_ms = link->place == 0 ? 0 : redis_connection_last_rx_ms(link->connection);
    bool late = link->asked_ms != 0 && now_ms - link->asked_ms > SILENT_MS;
    if (link->place == 0)
        return;
    if (late && now_ms - heard_ms > SILENT_MS)
        redis_connection_reconnect(link->connection, "the node says nothing");
    else if (late || (link->asked_ms == 0 &&
                      (now_ms - heard_ms >= QUIET_MS || !link->links->options.subscriber)))
        ask_for_sign(link, now_ms);
}

/* --- A connection --- */

static void on_ready(void *arg)
{
    struct cluster_link *link = arg;
    struct cluster_links *links = link->links;
    const char *run_id = redis_connection_server(link->connection)->run_id;
    link->place = ++links->last_place;
    link->away_ms = link->asked_ms = 0;
    if (run_id[0] != '\0') /* a node that hides it may be the same */
        snprintf(link->run_id, sizeof link->run_id, "%s", run_id);
    if (link->lost_logged)
        cluster_log_node(links->options.cluster, &link->endpoint.url, NULL);
    link->lost_logged = false;
    if (!links->options.subscriber)
        ask_for_sign(link, clock_monotonic_ms());
    links->callbacks.on_ready(links->callbacks.arg, link);
}

/* The password may be another one by the next attempt. */
static void renew_password(struct cluster_link *link)
{
    const struct redis_url *url = cluster_url(link->links->options.cluster);
    memcpy(link->endpoint.url.password, url->password, sizeof url->password);
}

static void on_lost(void *arg, const char *why)
{
    struct cluster_link *link = arg;
    struct cluster_links *links = link->links;
    link->place = 0;
    if (link->away_ms == 0)
        link->away_ms = clock_monotonic_ms();
    link->history[0] = '\0';
    link->asked_ms = 0;
    if (!link->lost_logged && link->in_map && !links->options.subscriber)
        cluster_log_node(links->options.cluster, &link->endpoint.url, why);
    link->lost_logged |= link->in_map && !links->options.subscriber;
    renew_password(link);
    link->endpoint.address_index += links->options.subscriber; /* else the connection does that */
    cluster_refresh(links->options.cluster);
    links->callbacks.on_lost(links->callbacks.arg, link);
}

static void on_error(void *arg, const struct redis_error *error)
{
    struct cluster_link *link = arg;
    link->links->callbacks.on_error(link->links->callbacks.arg, link, error);
}

static void on_push(void *arg, const struct redis_reply *reply)
{
    struct cluster_link *link = arg;
    link->links->callbacks.on_push(link->links->callbacks.arg, link, reply);
}

static void open_connection(struct cluster_link *link)
{
    static const struct redis_callbacks callbacks = {
        .on_ready = on_ready, .on_lost = on_lost, .on_error = on_error, .on_push = on_push};
    struct redis_options options = link->links->options;
    options.url = &link->endpoint.url;
    options.tls = link->endpoint.tls;
    options.address_index = &link->endpoint.address_index;
    options.client_name = link->links->client_name;
    link->connection = redis_connection_new(&options, &callbacks, link);
}

static struct cluster_link *new_link(struct cluster_links *links, const struct cluster_node *node)
{
    if (links->count == CLUSTER_LINKS_MOST)
        return NULL;
    struct cluster_link *link = memory_new(sizeof *link);
    link->links = links;
    link->endpoint = cluster_endpoint_of(links->options.cluster, node);
    link->away_ms = clock_monotonic_ms();
    list_init(&link->in_links);
    list_add(&links->all, &link->in_links);
    links->count++;
    open_connection(link);
    return link;
}

/* Who waits is told from within, and finds this one nowhere any more. */
static void free_link(struct cluster_link *link)
{
    struct cluster_links *links = link->links;
    list_remove(&link->in_links);
    links->count--;
    link->place = 0;
    redis_connection_free(link->connection);
    links->callbacks.on_freed(links->callbacks.arg, link);
    free(link);
}

/* --- Finding one --- */

static bool is_of(const struct cluster_link *link, const struct cluster_node *node)
{
    return link->endpoint.url.port == node->port &&
           strcmp(link->endpoint.url.host, node->host) == 0;
}

static struct cluster_link *find_or_open(struct cluster_links *links,
                                         const struct cluster_node *node)
{
    for (struct link *at = links->all.next; at != &links->all; at = at->next)
        if (is_of(link_at(at), node))
            return link_at(at);
    return new_link(links, node);
}

struct cluster_link *cluster_links_find(struct cluster_links *links,
                                        const struct cluster_node *node)
{
    struct cluster_link *link = find_or_open(links, node);
    if (link != NULL)
        link->used_ms = clock_monotonic_ms();
    return link;
}

/* Hints add nodes to the map. */
static void make_room(struct cluster_links *links, size_t count)
{
    if (count <= links->by_node_count)
        return;
    links->by_node = memory_resize(links->by_node, count, sizeof *links->by_node);
    for (size_t i = links->by_node_count; i < count; i++)
        links->by_node[i].link = NULL;
    links->by_node_count = count;
}

static struct cluster_link *link_of_node(struct cluster_links *links, size_t index)
{
    const struct cluster_map *map = cluster_map_of(links->options.cluster);
    make_room(links, map->node_count);
    assert(links->by_node != NULL && index < links->by_node_count);
    struct by_node *at = &links->by_node[index];
    if (at->link == NULL)
        at->link = find_or_open(links, &map->nodes[index]);
    if (at->link != NULL)
        at->link->in_map = true;
    return at->link;
}

struct cluster_link *cluster_links_of_slot(struct cluster_links *links, unsigned slot)
{
    const struct cluster_map *map = cluster_map_of(links->options.cluster);
    uint16_t index = map->slots[slot];
    return index == CLUSTER_NO_NODE || links->stopped ? NULL : link_of_node(links, index);
}

struct cluster_link *cluster_links_next(const struct cluster_links *links,
                                        const struct cluster_link *link)
{
    const struct link *at = link == NULL ? links->all.next : link->in_links.next;
    return at == &links->all ? NULL : LIST_ITEM(at, struct cluster_link, in_links);
}

static bool is_open(const struct cluster_links *links, const struct cluster_node *node)
{
    for (struct link *at = links->all.next; at != &links->all; at = at->next)
        if (is_of(link_at(at), node))
            return true;
    return false;
}

/* Subscriptions are opened where they are needed. */
void cluster_links_follow(struct cluster_links *links)
{
    int64_t now_ms = clock_monotonic_ms();
    const struct cluster_map *map = cluster_map_of(links->options.cluster);
    free(links->by_node);
    links->by_node = NULL;
    links->by_node_count = 0;
    for (struct link *at = links->all.next; at != &links->all; at = at->next) {
        if (link_at(at)->in_map)
            link_at(at)->used_ms = now_ms;
        link_at(at)->in_map = false;
    }
    for (size_t i = 0; i < map->node_count; i++)
        if (!links->options.subscriber || is_open(links, &map->nodes[i]))
            link_of_node(links, i);
}

static bool is_given_up(const struct cluster_link *link)
{
    return link->in_map && link->away_ms != 0 &&
           clock_monotonic_ms() - link->away_ms > cluster_patience_ms(link->links->options.cluster);
}

bool cluster_links_are_whole(const struct cluster_links *links)
{
    for (struct link *at = links->all.next; at != &links->all; at = at->next)
        if (link_at(at)->in_map && link_at(at)->place == 0 && !is_given_up(link_at(at)))
            return false;
    return true;
}

size_t cluster_links_count_given_up(const struct cluster_links *links)
{
    size_t count = 0;
    for (struct link *at = links->all.next; at != &links->all; at = at->next)
        count += is_given_up(link_at(at));
    return count;
}

/* --- The whole --- */

static bool is_unused(const struct cluster_link *link, int64_t now_ms)
{
    return !link->in_map && link->sent == link->answered && now_ms - link->used_ms > UNUSED_MS;
}

static void arm(struct cluster_links *links)
{
    static const struct timeval every = {TICK_S, 0};
    evtimer_add(links->timer, &every);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct cluster_links *links = arg;
    int64_t now_ms = clock_monotonic_ms();
    bool held_up = links->ticked_ms != 0 && now_ms - links->ticked_ms > HELD_UP_MS;
    struct link *next;
    metrics_begin_iteration(links->options.metrics);
    links->ticked_ms = now_ms;
    for (struct link *at = links->all.next; at != &links->all; at = next) {
        struct cluster_link *link = link_at(at);
        next = at->next;
        if (held_up && link->asked_ms != 0)
            link->asked_ms = now_ms; /* its answer may be there, unread */
        if (is_unused(link, now_ms))
            free_link(link);
        else
            look_after(link, now_ms);
    }
    arm(links);
}

struct cluster_links *cluster_links_new(const struct redis_options *options,
                                        const struct cluster_links_callbacks *callbacks)
{
    struct cluster_links *links = memory_new(sizeof *links);
    links->options = *options;
    links->callbacks = *callbacks;
    links->client_name = memory_copy_string(options->client_name);
    list_init(&links->all);
    links->timer = evtimer_new(options->base, on_tick, links);
    arm(links);
    return links;
}

void cluster_links_stop(struct cluster_links *links)
{
    links->stopped = true;
    evtimer_del(links->timer);
    for (struct link *at = links->all.next; at != &links->all; at = at->next) {
        link_at(at)->place = 0;
        redis_connection_stop(link_at(at)->connection);
    }
}

void cluster_links_free(struct cluster_links *links)
{
    cluster_links_stop(links);
    while (!list_is_empty(&links->all))
        free_link(link_at(links->all.next));
    event_free(links->timer);
    free(links->by_node);
    free(links->client_name);
    free(links);
}
