/* cluster_links: a client's connections to the nodes of a cluster, one each. They are made when a
 * node is in the map (commands), or is asked for (subscriptions, a slot on its way), and closed
 * when it has left the map and owes no answer. A node that says nothing for seconds is given up.
 *
 * Owns the connections; does not decide what is sent where. Part of `cluster_client`. */
#ifndef YUKIZURI_REDIS_CLUSTER_LINKS_H
#define YUKIZURI_REDIS_CLUSTER_LINKS_H

#include "redis/cluster.h"

struct cluster_links;

enum {
    CLUSTER_LINKS_MOST = 2 * CLUSTER_NODES_MOST, /* those of a map, and of one before it */
    CLUSTER_HISTORY_BYTES = 11,                  /* what a master_replid begins with, and the NUL */
};

/* Of one node. */
struct cluster_link {
    struct link in_links;
    struct cluster_links *links;
    struct cluster_endpoint endpoint;
    struct redis_connection *connection;
    uint64_t place;          /* another one each time it becomes ready; 0: it is not ready */
    uint64_t sent, answered; /* commands of the client's */
    bool in_map;
    bool lost_logged;
    int64_t away_ms;  /* since when it is not ready; 0: it is */
    int64_t used_ms;  /* when it was last found for a node that is not in the map */
    int64_t named_ms; /* when a redirection last said that it has a slot; 0: never */
    int64_t asked_ms; /* since when it owes a sign of life; 0: it does not */
    char history[CLUSTER_HISTORY_BYTES]; /* of a master; "" when it is not known */
    char run_id[48];                     /* as it was last told */
};

/* From the event loop only; all must be given. */
struct cluster_links_callbacks {
    void (*on_ready)(void *arg, struct cluster_link *link);
    void (*on_lost)(void *arg, struct cluster_link *link);
    void (*on_error)(void *arg, struct cluster_link *link, const struct redis_error *error);
    void (*on_push)(void *arg, struct cluster_link *link, const struct redis_reply *reply);
    void (*on_freed)(void *arg, struct cluster_link *link); /* it is gone after this */
    void *arg;
};

/* `options` as for redis_new; what they point to must outlive it. */
struct cluster_links *cluster_links_new(const struct redis_options *options,
                                        const struct cluster_links_callbacks *callbacks);

/* Closes all connections; who waits for an answer is told from within. */
void cluster_links_stop(struct cluster_links *links);
void cluster_links_free(struct cluster_links *links);

/* The map is another one. */
void cluster_links_follow(struct cluster_links *links);

/* The link to the node that has the slot, by the map as it is; NULL when none has it, or there are
 * too many links: a node that is in no map any more keeps its for some seconds. */
struct cluster_link *cluster_links_of_slot(struct cluster_links *links, unsigned slot);

/* The link to this node, in the map or not; NULL when there are too many. */
struct cluster_link *cluster_links_find(struct cluster_links *links,
                                        const struct cluster_node *node);

/* All of them: NULL at first, and after the last. */
struct cluster_link *cluster_links_next(const struct cluster_links *links,
                                        const struct cluster_link *link);

/* Is there a link that is ready to each node of the map, but for those that are given up? These
 * have been away for longer than the cluster's patience_ms. */
bool cluster_links_are_whole(const struct cluster_links *links);
size_t cluster_links_count_given_up(const struct cluster_links *links);

#endif
