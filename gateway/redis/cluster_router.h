/* cluster_router: commands on their way to the nodes of a cluster. A command goes to the node that
 * has the slot of its key, and is kept until it is answered: where the slot has moved (MOVED, ASK)
 * it follows; while a node cannot serve it, or cannot be reached, it is tried again every 50 ms
 * until its deadline. One that was under way over a connection that is lost is answered at once:
 * nobody knows whether it was carried out. What a node says that is no master of the map any more
 * is no answer either. Commands of one slot stay in order: one that a node sends back after later
 * ones went elsewhere, by another map, gets its error as the answer.
 *
 * Owns the commands, not the connections. Part of `cluster_client`. */
#ifndef YUKIZURI_REDIS_CLUSTER_ROUTER_H
#define YUKIZURI_REDIS_CLUSTER_ROUTER_H

#include "redis/cluster_links.h"

struct cluster_router;

/* All of it must outlive it; the links until cluster_router_stop. */
struct cluster_router *cluster_router_new(struct event_base *base, struct cluster *cluster,
                                          struct cluster_links *links, struct metrics *metrics);

/* The links have been stopped: who still waits is told so, from within. */
void cluster_router_stop(struct cluster_router *router);
void cluster_router_free(struct cluster_router *router);

/* The slot of the key of this command; of one without a key the home slot. */
unsigned cluster_router_slot(const struct cluster_router *router, const struct redis_words *words);

/* As redis_send, to the node of the slot, but that there need be no connection: then it waits for
 * one. -1 when it would have to wait, and 65,536 do already. */
int cluster_router_send(struct cluster_router *router, unsigned slot,
                        const struct redis_words *words, redis_done done, void *arg);
void cluster_router_mark_optional(struct cluster_router *router);

/* The map has changed, or a node is there: nobody waits for the timer. */
void cluster_router_retry(struct cluster_router *router);

/* Is it an error that is seen to here, and that nobody else need hear of? */
bool cluster_router_sees_to(const struct redis_error *error);

/* As redis_not_carried_out. */
bool cluster_router_not_carried_out(const struct cluster_router *router);

/* The link is gone, with all that was under way over it. */
void cluster_router_forget_link(struct cluster_router *router, const struct cluster_link *link);

#endif
