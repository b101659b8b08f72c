/* cluster_map: which node of a cluster has which slots, as one of its nodes tells. A plain value
 * that owns its list of nodes; no I/O. Only masters that have slots are nodes of a map that was
 * read. */
#ifndef YUKIZURI_REDIS_CLUSTER_MAP_H
#define YUKIZURI_REDIS_CLUSTER_MAP_H

#include "redis/cluster_slot.h"
#include "redis/resp_decode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLUSTER_NODES_MOST = 1000, /* as many as the specification of Redis Cluster is made for */
    CLUSTER_NO_NODE = UINT16_MAX,
};

struct cluster_node {
    char host[256];
    int port;
};

/* All zeroes is none: it has no slots, see cluster_map_init. */
struct cluster_map {
    struct cluster_node *nodes;
    size_t node_count;
    uint16_t slots[CLUSTER_SLOTS]; /* index of a node, or CLUSTER_NO_NODE */
};

/* No node has any slot. */
void cluster_map_init(struct cluster_map *map);
void cluster_map_done(struct cluster_map *map);

/* Whom a node is asked from: what it says of itself may leave that out. */
struct cluster_asked {
    const char *host;
    bool tls;
};

/* Reads the answer to CLUSTER SHARDS (Redis 7), or to CLUSTER SLOTS. 0; or -1 when it is no such
 * answer, gives a slot to two, or names no node that has one: `out`, which is initialized in any
 * case, has none then. A slot of a node without an address is nobody's. */
int cluster_map_read_shards(const struct redis_reply *reply, const struct cluster_asked *asked,
                            struct cluster_map *out);
int cluster_map_read_slots(const struct redis_reply *reply, const struct cluster_asked *asked,
                           struct cluster_map *out);

/* The index of this node, which is added when it is not there; CLUSTER_NO_NODE when there are too
 * many, or it has no good host and port. */
size_t cluster_map_find(struct cluster_map *map, const char *host, int port);

/* Have they the same nodes, and those the same slots? */
bool cluster_map_is_same(const struct cluster_map *a, const struct cluster_map *b);

/* Where a node says a slot is. */
struct cluster_redirection {
    bool ask; /* for the next command alone, behind ASKING */
    unsigned slot;
    struct cluster_node node;
};

/* Reads "MOVED 3999 127.0.0.1:6381" or "ASK …"; false, and `out` unspecified, when it is neither.
 * Without a host it is the one that was asked. */
bool cluster_redirection_read(const char *text, const char *asked_host,
                              struct cluster_redirection *out);

#endif
