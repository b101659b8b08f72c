/* What nodes of a cluster tell of it: a map is whole or none, and within its bounds. */
#include "fuzz.h"
#include "redis/cluster_map.h"

enum { MOST_BYTES = 1 << 16 };

static void check(int result, struct cluster_map *map)
{
    must(map->node_count <= CLUSTER_NODES_MOST, "nodes are bounded");
    must((result == 0) == (map->node_count > 0), "a map has nodes, and what is none has not");
    for (size_t i = 0; i < CLUSTER_SLOTS; i++)
        must(map->slots[i] == CLUSTER_NO_NODE || map->slots[i] < map->node_count, "slots of nodes");
    for (size_t i = 0; i < map->node_count; i++)
        must(map->nodes[i].host[0] != '\0' && map->nodes[i].port > 0, "a host and a port");
    cluster_map_done(map);
}

static void read_maps(const struct redis_reply *reply)
{
    static const struct cluster_asked asked = {.host = "localhost"};
    struct cluster_map map;
    check(cluster_map_read_shards(reply, &asked, &map), &map);
    check(cluster_map_read_slots(reply, &asked, &map), &map);
}

static void read_redirection(const char *text)
{
    struct cluster_redirection to;
    if (!cluster_redirection_read(text, "localhost", &to))
        return;
    must(to.slot < CLUSTER_SLOTS, "a slot");
    must(to.node.host[0] != '\0' && to.node.port > 0 && to.node.port < 65536, "a node");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct redis_reply *reply;
    struct redis_replies *replies =
        redis_replies_new(&(const struct redis_reply_limits){MOST_BYTES, MOST_BYTES}, NULL, NULL);
    must(cluster_slot((const char *)data, len) < CLUSTER_SLOTS, "a slot");
    redis_replies_feed(replies, (const char *)data, len);
    while (redis_replies_next(replies, &reply) == 0 && reply != NULL) {
        read_maps(reply);
        if (redis_reply_is_error(reply))
            read_redirection(redis_reply_string(reply, NULL));
    }
    redis_replies_free(replies);
    return 0;
}
