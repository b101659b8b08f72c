/* The structs that the files of session/ share. */
#ifndef YUKIZURI_SESSION_INTERNAL_H
#define YUKIZURI_SESSION_INTERNAL_H

#include "base/list.h"
#include "base/table.h"
#include "config/rate.h"
#include "protocol/message.h"
#include "protocol/name.h"
#include "protocol/work.h"
#include "session/address_key.h"
#include "session/drain.h"
#include "session/identity.h"
#include "session/sessions.h"

#include <assert.h>
#include <event2/util.h>

enum session_state {
    SESSION_VISITING, /* connected, not joined */
    SESSION_OPENING,  /* wants to join; what has to be known for that is not known yet (join.c) */
    SESSION_ASKED,    /* in a call of join.lua that is queued, or waits for its answer */
    SESSION_ADMITTED, /* in; waits until the feed has brought its join, and for its welcome */
    SESSION_JOINED,
    SESSION_DETACHED, /* in, but its connection is lost */
    SESSION_OVER,     /* waits for replies under way, then it is freed */
};

/* For each half of a join: Redis' answer, and its event's coming. */
enum { JOIN_DEADLINE_MS = 5000 };

/* A join under way; freed when the member is welcomed or refused. */
struct joining {
    struct name name;
    struct token fresh, shown;
    char fresh_text[TOKEN_BYTES];
    char shown_text[TOKEN_BYTES];
    char since_epoch[MESSAGE_EPOCH_BYTES];
    uint64_t since_seq;
    uint64_t seq;                         /* the room includes this member from here on */
    char epoch[MESSAGE_EPOCH_BYTES];      /* of seq */
    bool has_since;                       /* came with the token and `since` */
    char challenge[WORK_CHALLENGE_BYTES]; /* of the work that it brought; "" for none */
    int64_t since_ms;                     /* when it was asked for; then, when Redis let it in */
};

struct bans;
struct moderation;
struct newcomers;
struct operators;
struct pressure;
struct rules;

/* A room with those of it who are here: what a room is to its sessions. Made and freed with it. */
struct room_entry {
    struct sessions *all;
    struct room *room;
    struct link members;       /* who is in, connected or not */
    struct link visitors;      /* who is not */
    struct link waiting;       /* who waits for on_live or on_happened */
    struct join_call *joins;   /* the queued call that takes more people, or NULL */
    struct leave_call *leaves; /* the same for pending leaves; perhaps full */
    struct link arrived;       /* who is about to be welcomed */
    struct link in_arrived;    /* of the rooms with somebody in `arrived` */
    int64_t refresh_at_ms;     /* the members' keys */
    uint64_t refresh_walk;     /* the number of the last one that came by here */
    int64_t reconcile_at_ms;   /* see reconcile.c; 0: no need */
    int64_t unsettled_until_ms;
    bool rules_known;       /* those that Redis has, since the room was opened here */
    bool rules_in_flight;   /* Redis is asked for them */
    int64_t rules_asked_ms; /* 0: not yet */
};

struct session {
    struct sessions *all;
    struct connection *connection; /* NULL once lost */
    struct room_entry *entry;
    struct identity *identity; /* NULL before the join is accepted */
    struct joining *joining;   /* OPENING, ASKED, ADMITTED */
    struct link in_entry;      /* entry->members from ADMITTED on, entry->visitors else */
    struct link in_queue;      /* entry->waiting, entry->arrived, or the detached sessions */
    struct flood *flood;       /* NULL for who never sent more than it may */
    int64_t until_ms; /* detached: when it leaves (session_grace_clock); draining: is closed */
    uint32_t typed_ms;
    struct rate rate;
    union {
        uint32_t opened_s;   /* while it is connected: since when (monotonic clock) */
        uint32_t lost_cause; /* afterwards: which of session_lost's words */
    };
    struct address address;
    uint8_t state : 6;  /* enum session_state */
    bool held : 1;      /* nothing is read from it: too much is under way */
    bool uncounted : 1; /* the address is that of a trusted proxy */
    uint16_t in_flight; /* replies that will still come, and calls that are queued */
};

static_assert(sizeof(struct session) <= 128, "each member has one");

/* What somebody said, accepted by Redis and not yet delivered to all members here. */
enum { DELIVERY_WAITS = 256 };
struct delivery_wait {
    struct room_entry *entry; /* one of its users */
    uint64_t seq;
    int64_t begun_us; /* when it came */
};

/* People who have not joined, as far as the log is concerned. */
struct strangers {
    struct rate rate;    /* of lines about them */
    uint64_t dropped;    /* lines left out since the last report of that */
    int64_t reported_ms; /* when that was; 0: never */
};

struct sessions {
    struct sessions_options options;
    struct rooms *rooms;
    struct bans *bans;             /* bans.h */
    struct rules *rules;           /* rules.h */
    struct moderation *moderation; /* moderation.h */
    struct operators *operators;   /* operators.h */
    struct pressure *pressure;     /* pressure.h */
    struct newcomers *newcomers;   /* newcomers.h */
    struct table *by_id;           /* ADMITTED, JOINED, DETACHED */
    struct link detached;          /* in the order in which they leave */
    struct event *more_expired;    /* the timer after which further ones leave */
    struct link arrived; /* room entries with ADMITTED sessions whose join the feed has brought */
    struct event *welcomes; /* the timer after which they are welcomed */
    struct link pending_leaves;
    struct link floods;       /* who sent more than it may; see session/rate_limit.c */
    struct link ended_floods; /* of connections that ended within the last minute, */
    size_t ended_flood_count; /* so many */
    uint64_t next_number;
    uint64_t pending_says; /* on their way to Redis */
    int64_t away_ms;       /* for how long Redis was away, in all but */
    size_t given_up;       /* nodes of Redis, at the last tick */
    int64_t away_since_ms; /* the outage that is under way; 0: there is none */
    struct address_key *address_key;
    struct rate_limit dear_rate; /* under pressure: what costs twice as much */
    struct text scratch;         /* for what is sent to one member */
    bool admitting;              /* the gateway-id is ours */
    bool id_shared;              /* another process has members of our gateway-id, too */
    bool draining;
    struct sessions_moves moves; /* see drain.h */
    uint64_t refresh_walk;       /* over all rooms, each once (rooms_rotate) */
    bool hurry;                  /* until the end of the walk: Redis may have lost members */
    struct strangers strangers;
    struct delivery_wait delivery_wait[DELIVERY_WAITS];
    size_t delivery_wait_count;
};

#endif
