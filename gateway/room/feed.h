/* feed: the events of one room, in the order of their numbers, none missing unnoticed.
 *
 * Subscribe first, then read who is there and what is kept, then merge by number. A hole in the
 * numbers, a lost subscription or a changed epoch is mended from the kept events before anything
 * later is delivered; only what Redis no longer has becomes a gap. An epoch that goes on from where
 * this feed is (protocol/lineage.h) is no gap. Delivers through callbacks, from the event loop
 * only. */
#ifndef YUKIZURI_ROOM_FEED_H
#define YUKIZURI_ROOM_FEED_H

#include "broker/commands.h"
#include "broker/pubsub.h"
#include "protocol/lineage.h"
#include "protocol/room_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed_gap {
    uint64_t seq;     /* the next number is seq + 1 */
    uint64_t missed;  /* so many of them were messages */
    bool epoch_reset; /* Redis lost its memory, or goes on with an older one: the numbers that
                         follow are not those after this one, and `missed` is not known */
    uint64_t fork;    /* epoch_reset: numbers up to here stay what they were; 0: none do */
};

struct feed_callbacks {
    /* Who is in the room, exact at its `seq`: a presence event that has all who can be named in
     * `joined`. On opening (feed_is_live says no), and after feed_read_roster. */
    void (*on_roster)(void *owner, const struct room_event *roster);
    /* Follows on_roster: an event delivered earlier, which this roster does not include. */
    void (*on_roster_event)(void *owner, const struct room_event *event);
    /* A kept event that the roster already includes; `at_ms` is when it was, monotonic. */
    void (*on_remember)(void *owner, const struct room_event *event, int64_t at_ms);
    /* The next event. */
    void (*on_event)(void *owner, const struct room_event *event);
    /* Events passed that cannot be brought back. */
    void (*on_gap)(void *owner, const struct feed_gap *gap);
    /* Numbers go on in another epoch (feed_epoch); nothing was missed. */
    void (*on_epoch)(void *owner);
    /* Opening is complete: the number of the last event is known. */
    void (*on_live)(void *owner);
};

/* Opens the feed of a room, and goes on trying until it is closed. `commands` and `pubsub` must
 * outlive it; `callbacks` is copied. */
struct feed *feed_open(const struct commands *commands, struct pubsub *pubsub, const char *room,
                       const struct feed_callbacks *callbacks, void *owner);

/* Ends it, also from within a callback of it: no other follows. */
void feed_close(struct feed *feed);

/* The epoch of the last event delivered; "" where none is known. Valid until the next callback. */
const char *feed_epoch(const struct feed *feed);

/* Was on_live called? */
bool feed_is_live(const struct feed *feed);

/* The room as Redis knows it, for commands about it; valid as long as the feed. */
struct topic *feed_topic(struct feed *feed);

/* The epoch with its forks: where others stand in what it delivers (lineage_stand). */
const struct lineage *feed_lineage(const struct feed *feed);

/* Are the numbers that it delivers those of its epoch? Not while another one is being taken up. */
bool feed_is_settled(const struct feed *feed);

/* Is nothing being read or awaited at the moment? */
bool feed_is_current(const struct feed *feed);

/* Somebody was told of another epoch than this feed has: reads whether it has begun. */
void feed_check_epoch(struct feed *feed);

/* In on_roster and on_remember of a feed that opens: had nobody said anything before what they
 * tell? Of such a room Redis keeps no events (emit_presence in prelude.lua). */
bool feed_was_silent(const struct feed *feed);

/* Asks for whatever it waits for and has not asked for yet: commands can be sent (again). */
void feed_proceed(struct feed *feed);

/* Once a second: asks again for what was not answered. */
void feed_tick(struct feed *feed);

#endif
