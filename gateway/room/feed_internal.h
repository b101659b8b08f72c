/* What room/feed.c (events in order, and what the channel tells), room/feed_kept.c (what Redis
 * keeps) and room/feed_roster.c (who is there) share. */
#ifndef YUKIZURI_ROOM_FEED_INTERNAL_H
#define YUKIZURI_ROOM_FEED_INTERNAL_H

#include "room/feed.h"

#include "history/event_queue.h"

enum { FEED_ENTRY_BYTES = 48 }; /* of a stream's id: two numbers, a dash and the NUL */

enum feed_state {
    FEED_UNSUBSCRIBED, /* nothing can be said */
    FEED_OPENING,      /* subscribed; the roster is being read for the first time */
    FEED_READING,      /* kept events are being read; what arrives meanwhile is queued */
    FEED_LIVE,
};

struct feed {
    const struct commands *commands;
    struct pubsub *pubsub;
    struct topic topic;
    struct feed_callbacks callbacks;
    void *owner; /* NULL once closed */
    enum feed_state state;
    bool roster_known; /* opened once: the roster was exact at roster_seq */
    bool started;      /* on_live was called */
    bool epoch_reset;  /* the epoch changed: what comes next is counted anew */
    bool reading;      /* a read of kept events is under way */
    bool reading_roster;
    /* Counts subscriptions and epochs. An answer to what was asked in an earlier one says nothing
     * of what came in between: it is asked for again. */
    unsigned generation;
    unsigned kept_asked, roster_asked; /* in which `hearing` */
    char
        read_up_to[FEED_ENTRY_BYTES]; /* the next page begins behind this entry; "": behind `seq` */
    bool hasty;    /* something was asked once more at once: the next time waits for the tick */
    uint64_t fork; /* rebase: numbers up to here stay what they were */
    unsigned told; /* kinds of foreign publications already logged, a bit each */
    uint64_t seq;  /* the last event delivered or remembered */
    uint64_t said; /* so many events up to it were messages */
    uint64_t roster_seq, roster_said;
    struct lineage lineage;     /* its epoch is that of `seq` */
    struct event_queue queue;   /* what arrives while kept events are read */
    struct event_queue journal; /* presence delivered while the roster is on its way */
    bool roster_wanted;
    unsigned in_flight; /* replies that will still come */
};

/* A reply came that was counted in `in_flight`; a closed feed is freed with the last one. */
void feed_release(struct feed *feed);

/* --- room/feed.c --- */

/* Delivers the event if it is the next one. */
bool feed_deliver(struct feed *feed, const struct room_event *event);

/* Everything up to `seq`, where `said` events were messages, has passed unseen. */
void feed_gap(struct feed *feed, uint64_t seq, uint64_t said);

/* All that is kept was read: goes on with what came meanwhile. */
void feed_go_live(struct feed *feed);

/* --- room/feed_kept.c --- */

/* Reads what is kept after the last event delivered, or the next page of it; what arrives meanwhile
 * is queued. */
void feed_read_kept(struct feed *feed);

/* What is kept is read from `seq` on, and not from where a page ended. */
void feed_forget_page(struct feed *feed);

#endif
