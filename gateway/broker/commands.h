/* commands: what a gateway asks of Redis about a room, one function for each script, with its
 * arguments and its answer. Knows nothing of members or sockets. */
#ifndef YUKIZURI_BROKER_COMMANDS_H
#define YUKIZURI_BROKER_COMMANDS_H

#include "broker/publish_batch.h"
#include "broker/script_settings.h"
#include "broker/topic.h"
#include "config/config.h"
#include "protocol/message.h"
#include "protocol/token.h"
#include "redis/limiter.h"
#include "redis/script.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remote_clock;

/* What calls are made with: the broker's, all of it, as long as that lives. */
struct commands {
    const struct config *config;
    struct metrics *metrics;
    struct log *log;
    struct redis *redis;
    struct publish_batch *publish_batch;
    struct limiter *limiter;      /* for members */
    struct limiter *list_limiter; /* for what is asked of every room: rosters, rules */
    const struct remote_clock *redis_clock;
};

/* Redis' clock, in ms since 1970: as it was last measured, be it of another Redis; ours before. */
int64_t commands_now_ms(const struct commands *commands);

/* When that clock shows the end of what lasts so long yet, as PTTL says; 0: it has no end, or one
 * that is beyond all numbers (base/number.h). */
int64_t commands_end_ms(const struct commands *commands, int64_t left_ms);

/* --- Calls; each returns 0, or -1 when Redis is not there: `done` is then never called --- */

/* Goes out with broker_flush (broker.h). Answers the number of the message (redis_reply_number), or
 * that it was refused: commands_is_other_epoch. */
int commands_say(struct topic *topic, const struct publish_batch_say *say, redis_done done,
                 void *arg);

/* Publishes something without a number (typing). */
int commands_publish(struct topic *topic, const char *json);

struct commands_member {
    const char *folded, *name;
    const char *address;        /* for the operator */
    const char *public_address; /* for other members, "" for none */
    const char *mark;           /* of the address, for other members */
    char session[32];           /* the gateway's incarnation, a dash and a number */
};

struct commands_join {
    struct commands_member member;
    struct token new_token;    /* used unless the other one is good */
    struct token resume_token; /* id "" when there is none */
    const char *number_base;   /* folded name to which a number is added for a suggestion */
    int64_t asked_ms;          /* when they asked (monotonic); 0: not known */
    bool known_only;           /* only who has a good token: a member, or who was one */
    bool reinstate;            /* a member whom this gateway holds under `resume_token` */
    uint64_t floor;            /* reinstate: it may see what came after this */
    const char *floor_epoch;   /* reinstate: the epoch of that number */
};

enum { COMMANDS_REASON_BYTES = 800 /* of what an operator gives; a longer one is not shown */ };

enum commands_join_status {
    COMMANDS_FAILED,
    COMMANDS_JOINED,
    COMMANDS_RESUMED,
    COMMANDS_TAKEN,
    COMMANDS_FULL,
    COMMANDS_MOVED, /* reinstate: somebody else asked for it later */
    COMMANDS_LATE,
    COMMANDS_LOCKED,  /* the room takes nobody who is new */
    COMMANDS_STRANGER /* the same, because known_only said so */
};

struct commands_joined {
    char id[TOKEN_ID_BYTES];
    uint64_t seq; /* the room up to here includes this member */
    char epoch[MESSAGE_EPOCH_BYTES];
    uint64_t floor;     /* it may see what came after this */
    int64_t until_ms;   /* COMMANDS_LOCKED: 0: it has no end */
    const char *reason; /* COMMANDS_LOCKED: the answer's; "" for none */
    unsigned number;    /* COMMANDS_TAKEN: the number that makes the name free; 0: none found */
};

enum { COMMANDS_JOIN_MOST = 16 };

/* Lets 1 to COMMANDS_JOIN_MOST people in, judged one after the other; one event tells of all who
 * are new. All are to be reinstated, or none; who is not is let in within REDIS_DEADLINE_MS or not
 * at all, as far as Redis' clock is known, and not when the member is on a socket by then that
 * asked later (COMMANDS_LATE). From `make` of limiter_enqueue it is sent at once, else it waits
 * behind all others. */
int commands_join(struct topic *topic, const struct commands_join *joins, size_t count,
                  redis_done done, void *arg);

/* What became of the join at `index` of that call. */
enum commands_join_status commands_read_joined(const struct redis_reply *reply, size_t index,
                                               struct commands_joined *out);

struct commands_leave {
    struct commands_member member;
    bool on_purpose;       /* the token ends */
    const char *except_id; /* do nothing should the member have this id; "" for none */
};

enum { COMMANDS_LEAVE_MOST = MESSAGE_PRESENCE_NAMES };

/* Takes off the members that these sessions are, 1 to COMMANDS_LEAVE_MOST of them, and nobody else;
 * one event tells of them all. May be repeated. Is sent as commands_join is. */
int commands_leave(struct topic *topic, const struct commands_leave *leaves, size_t count,
                   redis_done done, void *arg);

/* Refreshes members; the answer has one letter for each, in order: k kept, g gone, m moved. */
enum { COMMANDS_REFRESH_MOST = 100 };
int commands_refresh(struct topic *topic, const struct commands_member *members, size_t count,
                     redis_done done, void *arg);

/* Some of the room's members who are there for this gateway: about `most` names from the cursor on,
 * "0" at first. See ours.lua for the answer. */
int commands_ours(struct topic *topic, const char *cursor, size_t most, redis_done done, void *arg);

/* Forgets kept events up to `seq` of that epoch. */
void commands_trim(struct topic *topic, const char *epoch, uint64_t seq);

/* Was a say refused, because Redis is not in the epoch in which it was first said? */
bool commands_is_other_epoch(const struct redis_reply *reply);

/* Within `done` of a say: is it certain that Redis has not accepted it? */
bool commands_not_accepted(const struct commands *commands, const struct redis_reply *reply);

#endif
