/* lineage: the epoch that a room's numbers are of, and the forks that led to it. A new epoch begins
 * when Redis goes on with another history (another master_replid: a restart, a promotion); it
 * continues the numbers of the one before, from where that was forked on. So a number of an earlier
 * epoch can be placed in the present one. The field's model is the leader epoch of Kafka (KIP-101).
 *
 * Plain values; owns nothing. */
#ifndef YUKIZURI_PROTOCOL_LINEAGE_H
#define YUKIZURI_PROTOCOL_LINEAGE_H

#include "protocol/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINEAGE_FORKS = 8 };

/* Numbers of `epoch` above `seq` are not of this lineage. */
struct lineage_fork {
    char epoch[MESSAGE_EPOCH_BYTES];
    uint64_t seq;
};

/* All zeroes: no epoch is known. */
struct lineage {
    char epoch[MESSAGE_EPOCH_BYTES];
    size_t count;
    struct lineage_fork forks[LINEAGE_FORKS]; /* the oldest first */
};

/* Can it be the name of an epoch? As prelude.lua's is_epoch: letters, digits, _ and -, 20 at most.
 */
bool lineage_is_epoch(const char *text);

/* Reads what a room's head has: its epoch, and "EPOCH:SEQ EPOCH:SEQ" (the last LINEAGE_FORKS of
 * them; what is none is left out). NULL is like "". */
struct lineage lineage_read(const char *epoch, const char *forks);

enum lineage_standing {
    LINEAGE_SHARED,  /* everything up to there is in this lineage */
    LINEAGE_FORKED,  /* what came after the fork is not in it */
    LINEAGE_FOREIGN, /* the epoch is not known in it */
};

/* Where the number `*seq` of `epoch` is in this lineage: `*seq` stays what it is, or becomes the
 * fork's behind which that epoch's numbers mean something else. Of a foreign epoch it is 0. (As
 * prelude.lua's `stand`: what somebody may see begins there, and a number that is too high would
 * hide what is owed.) */
enum lineage_standing lineage_stand(const struct lineage *lineage, const char *epoch,
                                    uint64_t *seq);

/* From where on somebody of a foreign epoch surely has seen nothing: 0, but where more forks may
 * have been than are known, its epoch may have been one of them, and what came in the present epoch
 * is all that it surely has not seen. What was seen is not shown again. */
uint64_t lineage_unseen_from(const struct lineage *lineage);

/* Where somebody stands who has seen everything up to `*seq` and whose own lineage is known: where
 * both came from one epoch, everything up to the first of their forks is shared. Of strangers
 * `*seq` becomes lineage_unseen_from. */
enum lineage_standing lineage_meet(const struct lineage *lineage, const struct lineage *own,
                                   uint64_t *seq);

#endif
