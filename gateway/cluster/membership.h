/* membership: this gateway's lease (cluster/lease.h), and the reaping of others whose lease ran
 * out.
 *
 * A gateway is alive while its key yukizuri:gateway:ID lives; it is renewed three times per lease.
 * Whoever sees a gateway without a key waits out the leave grace (its members may come back through
 * others), claims the reaping, and takes its members off room by room. Knows Redis alone, no
 * members. */
#ifndef YUKIZURI_CLUSTER_MEMBERSHIP_H
#define YUKIZURI_CLUSTER_MEMBERSHIP_H

#include "cluster/lease.h"
#include "room/registry.h"

struct event_base;
struct membership;

struct membership_options {
    struct event_base *base;
    struct broker *broker;
    struct rooms *rooms;
    struct metrics *metrics;
    struct log *log;
    /* LEASE_TAKEN: members may come in; LEASE_LAPSED: others may have taken our members off;
     * LEASE_REFUSED, LEASE_SUPERSEDED: another process is this gateway; LEASE_AWAITED,
     * LEASE_NOT_AWAITED: nobody can come in meanwhile; LEASE_SHARED, LEASE_NOT_SHARED: now and
     * then, does another process have members under our gateway-id, too? */
    lease_on_news on_news;
    void *arg;
};

struct membership *membership_new(const struct membership_options *options);
void membership_free(struct membership *membership);

/* Redis is there (again): takes the lease at once, and writes all rooms again. */
void membership_up(struct membership *membership);

/* This gateway is going away: a successor may take the lease and the rooms over.
 */
void membership_drain(struct membership *membership);

/* Gives the lease back: whoever has not moved is taken off by others after the whole grace, and
 * nobody warns; where no room was open, nobody needs to look either. As lease_leave: 0, or -1 and
 * `done` is never called. */
int membership_leave(struct membership *membership, void (*done)(void *arg), void *arg);

/* This gateway opened or closed a room. */
void membership_note_room(struct membership *membership, const char *room, bool open);

#endif
