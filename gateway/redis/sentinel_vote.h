/* sentinel_vote: which of the Sentinels' answers counts. Pure. Part of `sentinel`. */
#ifndef YUKIZURI_REDIS_SENTINEL_VOTE_H
#define YUKIZURI_REDIS_SENTINEL_VOTE_H

#include "config/redis_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a Sentinel says about the master. */
struct sentinel_answer {
    bool given;     /* else it has said nothing lately */
    bool refuted;   /* the server that it names has said since that it is no master */
    uint64_t epoch; /* of its configuration: who has seen the last failover has the highest. 0: it
                       does not tell */
    struct redis_host master;
};

/* Do both name the same server? */
bool sentinel_vote_is_same(const struct redis_host *one, const struct redis_host *other);

/* The index of the answer that counts among `count`; -1: none does.
 *
 * The newest configuration counts, and of equally new ones the server that most name, the `present`
 * one where that leaves a choice. What was refuted counts only when nothing else was answered. What
 * is older than `present` (epoch 0: there is none) counts if more than half of all `sentinels` say
 * so: one that is cut off from the others goes on naming the master of old. */
int sentinel_vote(const struct sentinel_answer *answers, size_t count,
                  const struct sentinel_answer *present, size_t sentinels);

#endif
