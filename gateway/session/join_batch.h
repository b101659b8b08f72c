/* join_batch: asking Redis to let people in: those of a room who ask at about the same time, in
 * one call. */
#ifndef YUKIZURI_SESSION_JOIN_BATCH_H
#define YUKIZURI_SESSION_JOIN_BATCH_H

#include "session/internal.h"

/* Becomes ASKED: in a call with others who ask at about the same time. Without Redis it is refused.
 */
void session_ask(struct session *session);

#endif
