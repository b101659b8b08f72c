/* What burial.c (who is dead) and burial_dig.c (taking its members off) share. */
#ifndef YUKIZURI_BURIAL_INTERNAL_H
#define YUKIZURI_BURIAL_INTERNAL_H

#include "burial.h"
#include "list.h"

enum { BURIAL_STALE_MS = 1000 };

struct burials {
    struct bus *bus;
    struct log *log;
    const struct config *config;
    struct event *timer;
    struct link suspects;
    int64_t started_ms;
    int64_t polled_ms;
    int64_t doubted_ms;     /* when leases last proved nothing; 0: never */
    struct link own_graves; /* rooms of our own earlier life, still to be looked through */
};

/* This process may itself have been stopped meanwhile: what an old answer says is not so any more.
 */
bool burial_is_stale(int64_t asked_ms);

/* Tries to get the burial of this gateway for us, and carries it out. Our own id means our earlier
 * life: the rooms in own_graves. */
void burial_claim(struct burials *burials, const char *id);

/* Forgets the rooms of our own earlier life. */
void graves_free_own(struct burials *burials);

#endif
