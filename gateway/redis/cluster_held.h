/* cluster_held: commands that wait until the node of their slot can serve them, slot by slot and in
 * order; of each slot only the first is tried. Plain bookkeeping: sends nothing, calls nobody.
 * Part of `cluster_router`. */
#ifndef YUKIZURI_REDIS_CLUSTER_HELD_H
#define YUKIZURI_REDIS_CLUSTER_HELD_H

#include "redis/cluster_links.h"

/* A command, kept until it is answered. */
struct cluster_command {
    struct link in_slot; /* while it waits */
    struct link in_late; /* from when it first had to wait on */
    struct cluster_router *router;
    struct cluster_link *link; /* over which it is under way; NULL */
    struct redis_words words;
    redis_done done; /* NULL: nobody waits (any more) */
    void *arg;
    int64_t deadline_ms;
    uint64_t number;  /* in the order in which they are to be carried out */
    uint64_t settled; /* answers up to this number came before it was last sent */
    unsigned slot;
    bool optional;
    bool asking; /* it was sent to a node that does not have the slot yet */
};

/* A slot whose commands wait. */
struct cluster_held {
    struct link in_all;
    struct link commands;
    struct link later; /* sent since, while some are to come back that go first */
    unsigned slot;
    bool under_way;   /* the first of them is being tried */
    int64_t retry_ms; /* not before */
    unsigned hops;    /* redirections that were followed since the last pause */
    bool ask;         /* it is to be tried there: */
    struct cluster_node asked;
    /* What is under way over the link that had the slot before: it will be sent back and is to go
     * first. None: NULL. */
    struct cluster_link *fence;
    uint64_t fence_number;
};

struct cluster_held_slots;

struct cluster_held_slots *cluster_held_new(void);
void cluster_held_free(struct cluster_held_slots *slots); /* there must be none left */

struct cluster_held *cluster_held_find(const struct cluster_held_slots *slots, unsigned slot);
struct cluster_held *cluster_held_open(struct cluster_held_slots *slots, unsigned slot);

/* One that was just sent; or one that came back over `link`, where it was under way: all that is
 * under way there goes before what is sent from here on. */
void cluster_held_add(struct cluster_held *held, struct cluster_command *command);
void cluster_held_take_back(struct cluster_held *held, struct cluster_command *command,
                            struct cluster_link *link);

/* It must have no command. */
void cluster_held_close(struct cluster_held_slots *slots, struct cluster_held *held);

/* All of them: NULL at first, and after the last. The one that was returned may be closed before
 * the next is asked for, should that have been asked for before. */
struct cluster_held *cluster_held_next(const struct cluster_held_slots *slots,
                                       const struct cluster_held *held);

/* The command that is to go first, or NULL: there is none, or it is still to come back. */
struct cluster_command *cluster_held_first(struct cluster_held *held);

/* Any, or NULL. */
struct cluster_command *cluster_held_any(const struct cluster_held *held);

/* The number of the latest that has come back and waits; 0: none does. */
uint64_t cluster_held_last_number(const struct cluster_held *held);

/* Has all that is to go first come back? */
bool cluster_held_is_open(const struct cluster_held *held);

/* The link is gone, with all that was under way over it. */
void cluster_held_forget_link(struct cluster_held_slots *slots, const struct cluster_link *link);

#endif
