/* newcomers: what stands before a join without a good token while there is pressure: a proof of
 * work (protocol/work.h), or a closed door. Whether a token is good, join.lua says; so everybody
 * asks Redis, and this module says what for, and what to answer. Keeps which works were used. */
#ifndef YUKIZURI_SESSION_NEWCOMERS_H
#define YUKIZURI_SESSION_NEWCOMERS_H

#include "protocol/work.h"
#include "session/internal.h"

struct newcomers;

struct newcomers *newcomers_new(void);

/* NULL is fine. */
void newcomers_free(struct newcomers *newcomers);

/* Notes what work the join brings: it is used from here on. */
void newcomers_take_work(struct session *session, const struct message_in *join);

/* Its join came to nothing: the same work can be brought again. */
void newcomers_give_work_back(struct session *session);

/* Is it to be let in only with a good token? The room may be locked, or the pressure too high. */
bool newcomers_may_not(const struct session *session);

/* join.lua found that it is new, and it may not: the error that says why, and what is needed. */
void newcomers_explain(const struct session *session, char challenge[WORK_CHALLENGE_BYTES],
                       struct message_error *out);

/* To be called once a second. */
void newcomers_tick(struct newcomers *newcomers);

#endif
