/* cluster: the shape of a Redis Cluster: which node has which slots, as its nodes tell. Asks one of
 * them after another, the seeds of the URL first, over a connection of its own: every few seconds,
 * and at once when somebody has found that a slot is elsewhere. The map that is known is used until
 * another one is there.
 *
 * Sends no commands of others (cluster_client does). Listeners are called from the event loop only.
 */
#ifndef YUKIZURI_REDIS_CLUSTER_H
#define YUKIZURI_REDIS_CLUSTER_H

#include "base/list.h"
#include "redis/cluster_map.h"
#include "redis/connection.h"
#include "telemetry/log.h"

struct cluster;

struct cluster_options {
    struct event_base *base;
    const struct redis_url *url; /* REDIS_CLUSTER; must outlive it. Its password may change */
    const char *client_name;     /* copied */
    const char *home_key;        /* a command without a key goes to this one's node; copied */
    int64_t patience_ms;         /* nobody waits for a node that has been away for so long */
    struct metrics *metrics;
    struct log *log; /* may be NULL */
};

/* Starts to ask, and goes on for ever. */
struct cluster *cluster_new(const struct cluster_options *options);

/* Asks no more, and calls nobody. */
void cluster_stop(struct cluster *cluster);

/* Stops and frees it; nobody may listen any more. NULL is fine. */
void cluster_free(struct cluster *cluster);

/* All must be given. */
struct cluster_listener {
    struct link link;
    void (*on_up)(void *arg);   /* a node answers, and the map is known */
    void (*on_map)(void *arg);  /* the map is another one: its nodes have other indexes */
    void (*on_hint)(void *arg); /* some slots are elsewhere; indexes of nodes are as before */
    void (*on_lost)(void *arg, const char *why); /* no node has answered for seconds */
    void *arg;
};

/* The listener must live until it is removed, or the cluster is stopped. */
void cluster_listen(struct cluster *cluster, struct cluster_listener *listener);

/* The map, as long as the listeners' on_map is not called. Without any node at first. */
const struct cluster_map *cluster_map_of(const struct cluster *cluster);

/* Is the map known, and did a node answer lately? */
bool cluster_is_up(const struct cluster *cluster);

/* Why not: a sentence; "" at first. Valid until the next call of the loop. */
const char *cluster_why(const struct cluster *cluster);

unsigned cluster_home_slot(const struct cluster *cluster);
int64_t cluster_patience_ms(const struct cluster *cluster);
const struct redis_url *cluster_url(const struct cluster *cluster);

/* As redis_connection_flush. */
void cluster_flush(struct cluster *cluster);

/* Somebody has found something that the map does not show: it is asked for anew, soon. */
void cluster_refresh(struct cluster *cluster);

/* A node has said that a slot is at another one. That is so until the next map; it is asked for. */
void cluster_note_moved(struct cluster *cluster, const struct cluster_redirection *to);

/* What a connection to a node is made with; it must outlive the connection. */
struct cluster_endpoint {
    struct redis_url url;
    struct redis_tls *tls; /* the cluster's; NULL: none is wanted */
    unsigned address_index;
};

/* Of that node of the map, or one that a node of it has named; with the password as it is now. */
struct cluster_endpoint cluster_endpoint_of(const struct cluster *cluster,
                                            const struct cluster_node *node);

/* One line for each outage of a node, and one for its end. */
void cluster_log_node(const struct cluster *cluster, const struct redis_url *node, const char *why);

#endif
