/* cluster_client: what a Redis Cluster is asked. A command goes to the node that has the slot of
 * its key, and is kept until it is answered: where the slot has moved (MOVED, ASK) it follows;
 * while a node cannot serve it, or cannot be reached, it is sent again every 50 ms until its
 * deadline. Commands of one slot are carried out in the order in which they were sent. Whoever
 * subscribes is told where its channel is, and asks again there (see broker/pubsub).
 *
 * Part of `redis` (client.h), whose functions these are. */
#ifndef YUKIZURI_REDIS_CLUSTER_CLIENT_H
#define YUKIZURI_REDIS_CLUSTER_CLIENT_H

#include "redis/cluster.h"

struct cluster_client;

/* `options->cluster` must outlive it, until cluster_client_stop. */
struct cluster_client *cluster_client_new(const struct redis_options *options,
                                          const struct redis_callbacks *callbacks, void *arg);
void cluster_client_stop(struct cluster_client *client);
void cluster_client_free(struct cluster_client *client);

bool cluster_client_is_ready(const struct cluster_client *client);

/* As redis_is_whole and redis_count_given_up. */
bool cluster_client_is_whole(const struct cluster_client *client);
size_t cluster_client_count_given_up(const struct cluster_client *client);

/* The version is that of some node, and run_id one for all: it is another one when any node is. */
const struct redis_server *cluster_client_server(const struct cluster_client *client);

/* Of the node for commands without a key. */
int64_t cluster_client_last_rx_ms(struct cluster_client *client);
void cluster_client_reconnect(struct cluster_client *client, const char *why);

void cluster_client_reset_backoff(struct cluster_client *client);
void cluster_client_flush(struct cluster_client *client);
void cluster_client_mark_optional(struct cluster_client *client);
int cluster_client_send(struct cluster_client *client, const struct redis_words *words,
                        redis_done done, void *arg);
int cluster_client_send_beside(struct cluster_client *client, const char *key, size_t len,
                               const struct redis_words *words, redis_done done, void *arg);
bool cluster_client_not_carried_out(const struct cluster_client *client);
void cluster_client_fail(struct cluster_client *client, redis_done done, void *arg);

/* See client.h. */
uint64_t cluster_client_place(struct cluster_client *client, const char *key);
void cluster_client_look_again(struct cluster_client *client);
uint64_t cluster_client_push_place(const struct cluster_client *client);
int cluster_client_send_at(struct cluster_client *client, uint64_t place,
                           const struct redis_words *words, redis_done done, void *arg);
int cluster_client_unsubscribe_sharded_at(struct cluster_client *client, uint64_t place,
                                          const char *channel);
size_t cluster_client_node(const struct cluster_client *client, const char *key, size_t len);
const char *cluster_client_histories(struct cluster_client *client);

#endif
