/* feed: the events of one room, in the order of their numbers, none missing unnoticed.
 *
 * Subscribe first, then read who is there and what is kept, then merge by number. A hole in the
 * numbers, a lost subscription or a changed epoch is mended from the kept events before anything
 * later is delivered; only what Redis no longer has becomes a gap. An epoch that goes on from where
 * this feed stands (protocol/lineage.h) is no gap. Delivers through callbacks, from the event loop
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
    bool epoch_reset; /* Redis lost its memory, or goes on with an older one: other numbers follow,
                  and `missed` is not known */
    uint64_t fork;    /* anew: numbers up to here stay what they were; 0: none do */
};

struct feed_callbacks {
    /* The roster, on opening and after feed_read_roster. */
    void (*on_roster_begin)(void *owner);
    void (*on_roster_add)(void *owner, const char *id, const char *name, const char *address);
    void (*on_roster_done)(void *owner, uint64_t count);
    /* Follows on_roster_done: an event delivered before, which this roster does not include. */
    void (*on_roster_event)(void *owner, const struct room_event *event);
    /* The roster was exact at `seq`; follows on_roster_done on opening. */
    void (*on_start)(void *owner, uint64_t seq);
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

/* Both must outlive the feed. */
struct feed_options {
    const struct commands *commands;
    struct pubsub *pubsub;
};

/* Opens the feed of a room; retries for ever. */
struct feed *feed_open(const struct feed_options *options, const char *room,
                       const struct feed_callbacks *callbacks, void *owner);

/* Ends it, also from within a callback of it: no other follows. */
void feed_close(struct feed *feed);

const char *feed_epoch(const struct feed *feed);
bool feed_is_live(const struct feed *feed);

/* The room as Redis knows it, for commands about it; valid as long as the feed. */
struct topic *feed_topic(struct feed *feed);

/* Where somebody who has seen everything up to `*seq` of `epoch` stands in what it delivers: see
 * lineage_stand. */
enum lineage_standing feed_stand(const struct feed *feed, const char *epoch, uint64_t *seq);

/* From where on somebody of a foreign epoch surely has seen nothing: see lineage_unseen_from. */
uint64_t feed_unseen_from(const struct feed *feed);

/* Are the numbers that it delivers those of its epoch? Not while another one is being taken up. */
bool feed_is_settled(const struct feed *feed);

/* Has Redis gone on with another history since the room began? */
bool feed_has_forked(const struct feed *feed);

/* Is nothing being read or awaited at the moment? */
bool feed_is_current(const struct feed *feed);

/* Somebody was told of another epoch than this feed knows: looks whether it has begun. */
void feed_look(struct feed *feed);

/* Reads the roster anew; does nothing while that is under way. */
void feed_read_roster(struct feed *feed);

/* Commands can be sent (again): asks for what it waits for. */
void feed_on_up(struct feed *feed);

/* Once a second: asks again for what was not answered. */
void feed_tick(struct feed *feed);

#endif
