/* bus: what a gateway shares with the others. Owns the two Redis connections (RESP2 subscribes and
 * commands apart), the feeds of the open rooms (room/feed.h), and the probe that shows whether
 * messages really flow. Knows the scripts' arguments; knows nothing of members or sockets. */
#ifndef YUKIZURI_BROKER_BROKER_H
#define YUKIZURI_BROKER_BROKER_H

#include "broker/keys.h"
#include "config/config.h"
#include "protocol/message.h"
#include "protocol/token.h"
#include "redis/client.h"
#include "redis/script.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct bus;
struct feed;
struct lane;
struct outbox;

struct bus_callbacks {
    void (*on_up)(void *arg);                                 /* both connections are ready */
    void (*on_told)(void *arg, const char *data, size_t len); /* on this gateway's own channel */
    void (*on_heard)(void *arg); /* what was read of all rooms' events has been handed out */
};

struct bus_options {
    struct event_base *base;
    const struct config *config;
    const struct redis_url *url; /* where Redis really is (the embedded one has a socket) */
    struct metrics *metrics;
    struct log *log;
};

/* NULL, and a sentence in `error`, when the encryption that is wanted cannot be had. */
struct bus *bus_new(const struct bus_options *options, const struct bus_callbacks *callbacks,
                    void *arg, char *error, size_t error_size);

/* Closes the connections: calls under way fail, from within, and there will be no more. NULL is
 * fine. */
void bus_stop(struct bus *bus);

/* All feeds must be closed before. NULL is fine. */
void bus_free(struct bus *bus);

/* From the event loop: what members have said in this turn of it goes to Redis now, and whatever
 * else was asked of it; who stands in line for a call (bus_await_turn) makes it from within.
 * Without a connection, who waits for an answer is told so at the loop's next turn. */
void bus_flush(struct bus *bus);

/* To be called once a second. */
void bus_tick(struct bus *bus);

/* Reads the redis-password-file again, if there is one: the next connection to Redis has what is in
 * it. The log says when it is another password, or cannot be read. */
void bus_reread_password(struct bus *bus);

/* NULL while members can join and talk: the last probe came back, in the last 10 s. Else a
 * sentence.
 */
const char *bus_why_not_ready(const struct bus *bus);

/* Redis answers, and refuses what people need: a sentence. NULL when it does not refuse it, or is
 * not there. Valid until the next call of the loop. */
const char *bus_why_refused(const struct bus *bus);

/* A random word that tells this life of the gateway from an earlier one under the same id. */
const char *bus_life(const struct bus *bus);

/* Does Redis answer at the moment? False within 3 s of its falling silent. */
bool bus_flows(const struct bus *bus);

/* When Redis last showed that messages flow (monotonic, ms); 0: never. */
int64_t bus_proven_ms(const struct bus *bus);

/* What Redis' own clock shows, in ms, about, at a moment of ours (monotonic, ms); 0: not known. */
int64_t bus_redis_ms(const struct bus *bus, int64_t at_ms);

/* Can commands be sent? */
bool bus_is_up(const struct bus *bus);

const struct config *bus_config(const struct bus *bus);
struct metrics *bus_metrics(const struct bus *bus);
struct redis *bus_commands(const struct bus *bus);
struct log *bus_log(const struct bus *bus);
struct outbox *bus_outbox(const struct bus *bus);
struct lane *bus_lane(const struct bus *bus); /* for members */
struct lane *bus_list_lane(const struct bus *bus);

/* Settings, and what follows from them, as arguments of scripts. */
struct bus_numbers {
    char head_ttl[24], retention[24], most_kept[24];
    char member_ttl[24], most_members[24];
    char most_nonces[24], nonce_ttl[24];
    char page_bytes[24]; /* of kept events in one answer */
};
void bus_fill_numbers(struct bus_numbers *numbers, const struct config *config);
const struct bus_numbers *bus_numbers(const struct bus *bus);

/* No answer of a Redis that does what it is asked is longer. */
struct redis_replies_most bus_most_reply(const struct config *config);

/* --- For feeds --- */

void bus_add_feed(struct bus *bus, struct feed *feed);
void bus_remove_feed(struct bus *bus, struct feed *feed);

/* A room's names in Redis. The channel is one's own of each database: a publication reaches all of
 * them, keys do not. */
struct bus_room {
    const char *channel; /* broker/keys.h: key_channel */
    const char *base;    /* what its keys begin with: key_room */
};

/* Begins a call of a script with the three keys of a room that prelude.lua reads; bus_add_key adds
 * further ones, bus_end_keys its four arguments. All strings must live until the call is sent;
 * `scratch` holds those that are made on the way. */
struct bus_scratch {
    struct key head, recent;
    char epoch[24];
    const struct bus_numbers *numbers;
};
void bus_begin(const struct bus *bus, struct script_call *call, struct bus_scratch *scratch,
               struct bus_room room);
void bus_add_key(struct script_call *call, const char *key);

/* Ends the keys: what is added to call->words from here on are arguments. */
void bus_end_keys(struct script_call *call, const struct bus_scratch *scratch);

/* Seconds that a member's key lives without being refreshed. */
uint64_t bus_member_ttl(const struct config *config);

/* --- Calls; each returns 0, or -1 when Redis is not there: `done` is then never called --- */

struct bus_say {
    const char *id;
    const char *body; /* the event's JSON from "from" on */
    size_t body_len;
    const char *nonce; /* or NULL */
    const char *epoch; /* refuse it in any other epoch; or NULL */
};

/* Goes out with bus_flush, or at the end of the loop's turn. Answers the number of the message
 * (bus_number), or that it was refused: bus_is_other_epoch. */
int bus_say(struct feed *feed, const struct bus_say *say, redis_done done, void *arg);

/* Publishes something without a number (typing). */
int bus_publish(struct feed *feed, const char *json, size_t len);

/* Stands in line for a call of bus_join or bus_leave, which `make` makes when its turn comes: at
 * the end of the loop's turn, or later when much is under way. Who comes or goes until then can be
 * in it. `make` is called once, with a connection or without, but for -1. */
int bus_await_turn(struct bus *bus, void (*make)(void *arg), void *arg);

struct bus_member {
    const char *folded, *name;
    const char *address; /* for the operator */
    const char *shown;   /* for other members, "" for none */
    char session[32];    /* which of the member's lives, and on which gateway's */
};

struct bus_join {
    struct bus_member member;
    struct token fresh;      /* used unless the shown token is good */
    struct token shown;      /* id "" when no token was shown */
    const char *number_base; /* folded name to which a number is added for a suggestion */
    int64_t asked_ms;        /* when they asked (monotonic); 0: not known */
    bool restore;            /* put back a member whom this gateway holds under `shown` */
    uint64_t floor;          /* restore: what it may see from */
    const char *floor_epoch; /* restore: the epoch of that number */
};

enum bus_join_status {
    BUS_FAILED,
    BUS_JOINED,
    BUS_RESUMED,
    BUS_TAKEN,
    BUS_FULL,
    BUS_MOVED, /* restore: somebody else asked for it later */
    BUS_LATE
};

struct bus_joined {
    char id[TOKEN_ID_BYTES];
    uint64_t seq; /* the room up to here includes this member */
    char epoch[MESSAGE_EPOCH_BYTES];
    uint64_t floor;  /* it may see what came after this */
    unsigned number; /* BUS_TAKEN: the number that makes the name free; 0: none found */
};

enum { BUS_JOIN_MOST = 16 };

/* Lets 1 to BUS_JOIN_MOST people in, judged one after the other; one event tells of all who are
 * new. All are to be put back, or none; who is not is let in within REDIS_DEADLINE_MS or not at
 * all, as far as Redis' clock is known, and not when the member is on a socket by then that asked
 * later (BUS_LATE). From bus_await_turn's `make` it is sent at once, else it stands at the end of
 * the line. */
int bus_join(struct feed *feed, const struct bus_join *joins, size_t count, redis_done done,
             void *arg);

/* What became of the join at `index` of that call. */
enum bus_join_status bus_read_joined(const struct redis_reply *reply, size_t index,
                                     struct bus_joined *out);

struct bus_leave {
    struct bus_member member;
    bool said;          /* on purpose: the token ends */
    const char *spared; /* do nothing should the member have this id; "" for none */
};

enum { BUS_LEAVE_MOST = MESSAGE_PRESENCE_NAMES };

/* Takes off the members that these sessions are, 1 to BUS_LEAVE_MOST of them, and nobody else; one
 * event tells of them all. May be repeated. From bus_await_turn's `make` it is sent at once, else
 * it stands at the end of the line. */
int bus_leave(struct feed *feed, const struct bus_leave *leaves, size_t count, redis_done done,
              void *arg);

/* Refreshes members; the answer has one letter for each, in order: k kept, g gone, m moved. */
enum { BUS_REFRESH_MOST = 100 };
int bus_refresh(struct feed *feed, const struct bus_member *members, size_t count, redis_done done,
                void *arg);

/* Some of the room's members who are there for this gateway: about `most` names from the cursor on,
 * "0" at first. See ours.lua for the answer. */
int bus_ours(struct feed *feed, const char *cursor, size_t most, redis_done done, void *arg);

/* Forgets kept events up to `seq`. */
void bus_trim(struct feed *feed, uint64_t seq);

/* Was a say refused, because Redis is not in the epoch in which it was first said? */
bool bus_is_other_epoch(const struct redis_reply *reply);

/* A positive number, or 0 for an error or no reply. */
uint64_t bus_number(const struct redis_reply *reply);

#endif
