/* persistence: what the Redis that was reached does with what people say: does it write to disk,
 * may it throw keys away. Asks whenever it is told that a connection is ready; sets two gauges,
 * and logs in one line (`redis-keeps`) what was not logged already.
 *
 * It changes nothing in Redis, and nothing waits for it: being refused is no fault. CONFIG GET is
 * asked where that is allowed; without it INFO tells of an append-only file and of snapshots that
 * were taken, but not of those that are planned. */
#ifndef YUKIZURI_REDIS_PERSISTENCE_H
#define YUKIZURI_REDIS_PERSISTENCE_H

#include "base/text.h"
#include "redis/client.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#include <stddef.h>
#include <stdint.h>

struct persistence;

/* What was found; the texts are Redis' own words, cut to what fits. */
enum persistence_state { PERSISTENCE_UNKNOWN, PERSISTENCE_NO, PERSISTENCE_YES };
struct persistence_facts {
    enum persistence_state snapshots;   /* dumps at times, and at its end */
    enum persistence_state append_only; /* a file of every command */
    enum persistence_state evicts;      /* a policy other than noeviction, and a limit */
    char save[96];                      /* the times, "" when not known */
    char policy[32];
};

/* Both gauges are METRICS_UNKNOWN until there was an answer. `log` may be NULL. All must outlive
 * the commands that are under way. */
struct persistence *persistence_new(struct redis *commands, struct metrics *metrics,
                                    struct log *log);

/* The connection must have been stopped before. NULL is fine. */
void persistence_free(struct persistence *persistence);

/* The connection is ready, and it may be another Redis: asks. */
void persistence_ask(struct persistence *persistence);

/* Redis does what is asked of it: what is found from here on is logged when it is not what was
 * logged last. While it is not called, each finding is logged once, and four at most, however often
 * connections are made. */
void persistence_note_use(struct persistence *persistence);

/* Takes from the text that INFO answers what CONFIG has not told already. */
void persistence_read_info(struct persistence_facts *facts, const char *info);

/* The two answers in one. */
enum persistence_state persistence_writes(const struct persistence_facts *facts);

/* Adds what the log says of it, for people. */
void persistence_describe(const struct persistence_facts *facts, struct text *out);

#endif
