/* cluster_stage: scripted nodes of a Redis Cluster (fake_redis.h), two with a half of the slots
 * each and one without any, and the program's client for them. Who was told what, redis_stage.h
 * knows. */
#ifndef YUKIZURI_CLUSTER_STAGE_H
#define YUKIZURI_CLUSTER_STAGE_H

#include "fake_redis.h"
#include "redis/client.h"
#include "redis/cluster.h"

/* LOWER has the slots up to 8191, UPPER those from 8192 on, SPARE has none. */
enum { LOWER, UPPER, SPARE, CLUSTER_STAGE_NODES };

/* Keys in the lower half, and in the upper one. */
#define LOW_KEY        "bar"
#define OTHER_LOW_KEY  "hello"
#define HIGH_KEY       "foo"
#define OTHER_HIGH_KEY "{lobby}:head"

/* Opens nodes and client; `seeds` is a list of hosts for the URL. LOWER's is put behind it if it
 * ends with a comma or is "". */
void cluster_stage_open(const char *seeds, bool subscriber);

/* The same, until the client is ready and has a connection to both. */
void cluster_stage_start(bool subscriber);
void cluster_stage_stop(void); /* the client alone */
void cluster_stage_close(void);

struct fake_redis *cluster_stage_node(int node);
struct redis *cluster_stage_client(void);
struct metrics *cluster_stage_metrics(void);

/* "MOVED SLOT HOST:PORT" or "ASK …" with a '-' before it, as this node is meant; good until the
 * next call. */
const char *cluster_stage_redirect(const char *word, const char *key, int node);

/* The client's subscriptions: it is told what the broker tells it. */
struct pubsub;
void cluster_stage_follow(struct pubsub *pubsub);

/* From here on all nodes tell a map in which the upper half belongs to that node. */
void cluster_stage_tell_upper(int node);

/* Asks GET; who is told is the key. */
int cluster_stage_get(const char *key);

/* All sides have done all that follows from what was done so far. */
void cluster_stage_settle(void);

/* Runs the loop for a little longer than the client waits before it tries again. */
void cluster_stage_pass_a_while(void);

/* Runs the loop until so many of the name have come to the node. */
void cluster_stage_await_count(int node, const char *name, size_t count);

/* "ready ", "lost ", "places ", "error WORD ", as they came since the last call. */
const char *cluster_stage_heard(void);

/* Runs the loop until one of these has come. */
void cluster_stage_await_heard(const char *what);

/* The last sentence of on_lost. */
const char *cluster_stage_why(void);

#endif
