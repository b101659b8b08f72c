/* presence: this gateway's lease (cluster/lease.h), and the burial of others whose lease ran out.
 *
 * A gateway is alive while its key yukizuri:gateway:ID lives; it is renewed three times per lease.
 * Whoever sees a gateway without a key waits out the leave grace (its members may come back through
 * others), claims the burial, and takes its members off room by room. Knows Redis alone, no
 * members. */
#ifndef YUKIZURI_CLUSTER_MEMBERSHIP_H
#define YUKIZURI_CLUSTER_MEMBERSHIP_H

#include "room/registry.h"

struct event_base;
struct presence;

struct presence_options {
    struct event_base *base;
    struct bus *bus;
    struct rooms *rooms;
    struct metrics *metrics;
    struct log *log;
    void (*on_taken)(void *arg); /* the gateway-id is ours: members may come in */
    /* The lease had run out or Redis forgot it: others may have taken our members off. */
    void (*on_lapsed)(void *arg);
    /* Another living process has our gateway-id: from the start on; or it took it while this one
     * was thought dead. `why` is a sentence, valid until the return. */
    void (*on_refused)(void *arg, const char *why);
    void (*on_superseded)(void *arg);
    /* Another process has it, alive or not: nobody can come in here until it is known
     * (cluster/lease.h). */
    void (*on_waiting)(void *arg, bool waiting);
    /* Now and then: does another process have members under our gateway-id, too? */
    void (*on_beside)(void *arg, bool beside);
    void *arg;
};

struct presence *presence_new(const struct presence_options *options);
void presence_free(struct presence *presence);

/* Redis is there (again): takes the lease at once, and writes all rooms anew. */
void presence_up(struct presence *presence);

/* This gateway is going away: a successor may take the lease over, and its rooms are left to that.
 */
void presence_drain(struct presence *presence);

/* Gives the lease back: whoever has not moved is taken off by others after the whole grace, and
 * nobody warns; where no room was open, nobody needs to look either. As lease_leave: 0, or -1 and
 * `done` is never called. */
int presence_leave(struct presence *presence, void (*done)(void *arg), void *arg);

/* This gateway opened or closed a room. */
void presence_note_room(struct presence *presence, const char *room, bool open);

#endif
