/* reconcile: who had left after the memory that Redis goes on with. */
#ifndef YUKIZURI_SESSION_RECONCILE_H
#define YUKIZURI_SESSION_RECONCILE_H

#include "session/internal.h"

/* Redis may have gone on with an older memory. A lease and the grace from now on, by when all
 * members have been reinstated, those who are there for this gateway and are not its own leave. */
void session_reconcile_soon(struct room_entry *entry);

/* To be called once a second: does that, when it is time and Redis is there. */
void session_reconcile_tick(struct room_entry *entry);

/* May members be in the room still who had left, because Redis went on with an older memory? */
bool session_is_unsettled(const struct room_entry *entry);

#endif
