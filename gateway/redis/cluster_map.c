#include "redis/cluster_map.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cluster_map_init(struct cluster_map *map)
{
    *map = (struct cluster_map){.nodes = NULL};
    for (size_t i = 0; i < CLUSTER_SLOTS; i++)
        map->slots[i] = CLUSTER_NO_NODE;
}

void cluster_map_done(struct cluster_map *map)
{
    free(map->nodes);
    cluster_map_init(map);
}

/* --- Nodes --- */

static bool is_good_host(const char *host)
{
    size_t len = strlen(host);
    return len > 0 && len < sizeof((struct cluster_node *)0)->host &&
           host[strcspn(host, " \t\r\n@/?")] == '\0';
}

static size_t add_node(struct cluster_map *map, const char *host, int port)
{
    size_t count = map->node_count;
    if ((count & (count - 1)) == 0) /* a power of two, or none: it is full */
        map->nodes = memory_resize(map->nodes, count == 0 ? 1 : count * 2, sizeof *map->nodes);
    struct cluster_node *node = &map->nodes[map->node_count++];
    *node = (struct cluster_node){.port = port};
    memcpy(node->host, host, strlen(host) + 1);
    return count;
}

size_t cluster_map_find(struct cluster_map *map, const char *host, int port)
{
    if (!is_good_host(host) || port < 1 || port > 65535)
        return CLUSTER_NO_NODE;
    for (size_t i = 0; i < map->node_count; i++)
        if (map->nodes[i].port == port && strcmp(map->nodes[i].host, host) == 0)
            return i;
    return map->node_count == CLUSTER_NODES_MOST ? CLUSTER_NO_NODE : add_node(map, host, port);
}

/* --- What nodes tell --- */

/* False when these are no slots, or one has been given before: that bounds how long it takes. A
 * node may be none: one without an address that nobody has replaced yet. */
static bool give_slots(struct cluster_map *map, size_t node, const struct redis_reply *first,
                       const struct redis_reply *last)
{
    int64_t from = redis_reply_integer(first), to = redis_reply_integer(last);
    if (from < 0 || to >= CLUSTER_SLOTS || from > to)
        return false;
    for (int64_t slot = from; slot <= to && node != CLUSTER_NO_NODE; slot++) {
        if (map->slots[slot] != CLUSTER_NO_NODE)
            return false;
        map->slots[slot] = (uint16_t)node;
    }
    return true;
}

/* An endpoint that is empty or missing is where the question was sent; "?" is a host name that the
 * node does not know, and then it is the address, if it knows that. */
static const char *read_host(const struct redis_reply *endpoint, const struct redis_reply *ip,
                             const struct cluster_asked *asked)
{
    size_t len;
    const char *host = redis_reply_string(endpoint, &len);
    if (host != NULL && strcmp(host, "?") == 0)
        host = redis_reply_string(ip, &len);
    if (host == NULL || len == 0)
        return asked->host;
    return strlen(host) == len ? host : "";
}

static int read_port(const struct redis_reply *reply)
{
    int64_t port = redis_reply_integer(reply);
    return port > 0 && port <= 65535 ? (int)port : 0;
}

/* The value of a field in a list of fields and values, or NULL. */
static const struct redis_reply *find_field(const struct redis_reply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
        const char *field = redis_reply_string(redis_reply_at(fields, i), NULL);
        if (field != NULL && strcmp(field, name) == 0)
            return redis_reply_at(fields, i + 1);
    }
    return NULL;
}

static bool has_value(const struct redis_reply *fields, const char *name, const char *value)
{
    const char *found = redis_reply_string(find_field(fields, name), NULL);
    return found != NULL && strcmp(found, value) == 0;
}

/* Of those that call themselves the shard's master one may be dead. */
static const struct redis_reply *find_master(const struct redis_reply *nodes)
{
    const struct redis_reply *found = NULL;
    for (size_t i = 0; i < redis_reply_count(nodes); i++) {
        const struct redis_reply *node = redis_reply_at(nodes, i);
        if (!has_value(node, "role", "master"))
            continue;
        if (found == NULL || has_value(node, "health", "online"))
            found = node;
    }
    return found;
}

static size_t find_shard_node(struct cluster_map *map, const struct redis_reply *node,
                              const struct cluster_asked *asked)
{
    const char *host = read_host(find_field(node, "endpoint"), find_field(node, "ip"), asked);
    return cluster_map_find(map, host,
                            read_port(find_field(node, asked->tls ? "tls-port" : "port")));
}

static bool read_shard(struct cluster_map *map, const struct redis_reply *shard,
                       const struct cluster_asked *asked)
{
    const struct redis_reply *slots = find_field(shard, "slots");
    const struct redis_reply *master = find_master(find_field(shard, "nodes"));
    size_t count = redis_reply_count(slots);
    if (count == 0 || master == NULL)
        return true; /* what died and was replaced has none; who has none is of no use */
    size_t node = find_shard_node(map, master, asked);
    for (size_t i = 0; i + 1 < count; i += 2)
        if (!give_slots(map, node, redis_reply_at(slots, i), redis_reply_at(slots, i + 1)))
            return false;
    return true;
}

/* [first, last, [endpoint, port, id, ["ip", …]] of the master, …] */
static bool read_range(struct cluster_map *map, const struct redis_reply *range,
                       const struct cluster_asked *asked)
{
    const struct redis_reply *master = redis_reply_at(range, 2);
    const struct redis_reply *ip = find_field(redis_reply_at(master, 3), "ip");
    const char *host = read_host(redis_reply_at(master, 0), ip, asked);
    size_t node = cluster_map_find(map, host, read_port(redis_reply_at(master, 1)));
    return give_slots(map, node, redis_reply_at(range, 0), redis_reply_at(range, 1));
}

typedef bool (*read_part)(struct cluster_map *map, const struct redis_reply *part,
                          const struct cluster_asked *asked);

static int read_parts(const struct redis_reply *reply, const struct cluster_asked *asked,
                      read_part read, struct cluster_map *out)
{
    cluster_map_init(out);
    bool good = !redis_reply_is_error(reply);
    for (size_t i = 0; i < redis_reply_count(reply) && good; i++)
        good = read(out, redis_reply_at(reply, i), asked);
    if (good && out->node_count > 0)
        return 0;
    cluster_map_done(out);
    return -1;
}

int cluster_map_read_shards(const struct redis_reply *reply, const struct cluster_asked *asked,
                            struct cluster_map *out)
{
    return read_parts(reply, asked, read_shard, out);
}

int cluster_map_read_slots(const struct redis_reply *reply, const struct cluster_asked *asked,
                           struct cluster_map *out)
{
    return read_parts(reply, asked, read_range, out);
}

static bool is_same_node(const struct cluster_map *a, size_t at, const struct cluster_map *b,
                         size_t there)
{
    if (at == CLUSTER_NO_NODE || there == CLUSTER_NO_NODE)
        return at == there;
    return a->nodes[at].port == b->nodes[there].port &&
           strcmp(a->nodes[at].host, b->nodes[there].host) == 0;
}

bool cluster_map_is_same(const struct cluster_map *a, const struct cluster_map *b)
{
    if (a->node_count != b->node_count)
        return false; /* one has a node that hints have taken the last slot from */
    for (size_t i = 0; i < CLUSTER_SLOTS; i++)
        if (!is_same_node(a, a->slots[i], b, b->slots[i]))
            return false;
    return true;
}

/* --- Redirections --- */

/* Up to `end`, which is a sign that is no digit; -1 when it is no number up to `most`. */
static int read_number(const char *text, const char *end, int most)
{
    int number = 0;
    if (text == end)
        return -1;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        number = number * 10 + (*text - '0');
        if (number > most)
            return -1;
    }
    return number;
}

bool cluster_redirection_read(const char *text, const char *asked_host,
                              struct cluster_redirection *out)
{
    out->ask = strncmp(text, "ASK ", 4) == 0;
    if (!out->ask && strncmp(text, "MOVED ", 6) != 0)
        return false;
    const char *slot = strchr(text, ' ') + 1;
    const char *host = strchr(slot, ' ');
    const char *port = strrchr(slot, ':'); /* an IPv6 address has others */
    if (host == NULL || port == NULL || port < host)
        return false;
    int number = read_number(slot, host++, CLUSTER_SLOTS - 1);
    size_t len = (size_t)(port - host);
    out->node.port = read_number(port + 1, port + 1 + strcspn(port + 1, " "), 65535);
    if (number < 0 || out->node.port < 1 || len >= sizeof out->node.host)
        return false;
    out->slot = (unsigned)number;
    snprintf(out->node.host, sizeof out->node.host, "%.*s", (int)len, host);
    if (len == 0)
        snprintf(out->node.host, sizeof out->node.host, "%s", asked_host);
    return is_good_host(out->node.host) && strcmp(out->node.host, "?") != 0;
}
