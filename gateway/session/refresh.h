/* refresh: members' keys in Redis, and reinstating who is missing there. */
#ifndef YUKIZURI_SESSION_REFRESH_H
#define YUKIZURI_SESSION_REFRESH_H

#include "session/internal.h"

/* When members' keys that are set now are to be refreshed (monotonic). */
int64_t session_refresh_ms(const struct sessions *all);

/* All members are checked against Redis and reinstated where they are missing, by and by; in a
 * hurry within half a lease. */
void session_refresh_all(struct sessions *all, bool hurry);

/* The same for a room of which Redis lost its memory, within half a lease (rooms_callbacks). */
void session_refresh_soon(void *entry);

/* To be called once a second. */
void session_refresh_tick(struct sessions *all);

#endif
