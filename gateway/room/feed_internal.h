/* The struct that room/feed.c and room/feed_read.c share. */
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
    bool has_roster;  /* opened once: the roster was exact at roster_seq */
    bool started;     /* on_live was called */
    bool silent;      /* see feed_was_silent */
    bool epoch_reset; /* the epoch changed: the next number is not the one after `seq` */
    bool reading;     /* a read of kept events is under way */
    bool reading_roster;
    /* Counts subscriptions and epochs. An answer to what was asked in an earlier one says nothing
     * of what came in between: it is asked for again. */
    unsigned generation;
    unsigned kept_generation, roster_generation; /* in which each was asked for */
    /* The next page begins behind this entry; "": behind `seq`. */
    char read_up_to[FEED_ENTRY_BYTES];
    bool asked_again;       /* something, at once: the next time waits for the tick */
    uint64_t fork;          /* epoch_reset: numbers up to here stay what they were */
    unsigned logged_errors; /* kinds of foreign publications already logged, a bit each */
    uint64_t seq;           /* the last event delivered or remembered */
    uint64_t message_count; /* so many events up to it were messages */
    uint64_t roster_seq, roster_message_count;
    struct lineage lineage;                /* its epoch is that of `seq` */
    struct event_queue queue;              /* what arrives while kept events are read, */
    char queue_epoch[MESSAGE_EPOCH_BYTES]; /* of this epoch; "": it did not say */
    struct event_queue journal;            /* presence delivered while the roster is on its way */
    bool roster_wanted;
    unsigned in_flight; /* replies that will still come */
};

#endif
