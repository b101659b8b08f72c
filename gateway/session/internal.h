/* session_internal: what the session_*.c files share. Nobody else includes it. */
#ifndef YUKIZURI_SESSION_INTERNAL_H
#define YUKIZURI_SESSION_INTERNAL_H

#include "base/list.h"
#include "base/table.h"
#include "config/rate.h"
#include "protocol/message.h"
#include "protocol/name.h"
#include "session/address_key.h"
#include "session/identity.h"
#include "session/sessions.h"

#include <assert.h>
#include <event2/util.h>

enum session_state {
    SESSION_VISITING, /* connected, not joined */
    SESSION_OPENING,  /* wants to join; the room's feed is not live yet */
    SESSION_ASKED,    /* in a call of join.lua that waits for its turn, or for the answer */
    SESSION_ADMITTED, /* in; waits until the feed has brought its join, and for its welcome */
    SESSION_JOINED,
    SESSION_GHOST, /* in, but its connection is lost */
    SESSION_OVER,  /* waits for replies under way, then it is freed */
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
    uint64_t seq;                    /* the room includes this member from here on */
    char epoch[MESSAGE_EPOCH_BYTES]; /* of seq */
    bool knows;                      /* came with the token and `since` */
    int64_t since_ms;                /* when it was asked for; then, when Redis let it in */
};

/* A room with those of it who are here: what a room is to its sessions. Made and freed with it. */
struct room_entry {
    struct sessions *all;
    struct room *room;
    struct link members;     /* who is in, connected or not */
    struct link visitors;    /* who is not */
    struct link waiting;     /* who waits for on_live or on_happened */
    struct join_call *joins; /* the call that takes more people, or NULL */
    struct link farewells;   /* they wait for a call of leave.lua, */
    size_t farewell_count;   /* so many, */
    size_t leave_calls;      /* and so many calls stand in line for them */
    struct link known;       /* who is about to be welcomed */
    struct link in_known;    /* of the rooms with somebody in `known` */
    int64_t refresh_at_ms;   /* the members' keys */
    uint64_t refresh_walk;   /* the last one that came by here */
    int64_t reconcile_at_ms; /* see reconcile.c; 0: no need */
    int64_t unsettled_until_ms;
};

struct session {
    struct sessions *all;
    struct connection *connection; /* NULL once lost */
    struct room_entry *entry;
    struct identity *identity; /* NULL before the join is accepted */
    struct joining *joining;   /* OPENING, ASKED, ADMITTED */
    struct link in_entry;      /* entry->members from ADMITTED on, entry->visitors else */
    struct link in_queue;      /* entry->waiting, entry->known, or the ghosts */
    struct flood *flood;       /* NULL for who never sent more than it may */
    int64_t until_ms; /* ghost: when it leaves (session_grace_clock); draining: is closed */
    uint32_t typed_ms;
    struct rate rate;
    union {
        uint32_t opened_s;   /* while it is connected: since when (monotonic clock) */
        uint32_t lost_cause; /* afterwards: which of session_lost's words */
    };
    struct address address;
    uint8_t state : 7;  /* enum session_state */
    bool held : 1;      /* nothing is read from it: too much is under way */
    uint16_t in_flight; /* replies that will still come, and calls that wait for their turn */
};

static_assert(sizeof(struct session) <= 128, "each member has one");

/* A leave that Redis has not answered yet. It is repeated until it is: a member whose leave was
 * lost would keep its name, and nobody would see it go. Holds all it needs: the session may be
 * gone. */
struct farewell {
    struct link link;     /* all of them */
    struct link in_entry; /* entry->farewells, until a call takes it */
    struct sessions *all;
    struct room_entry *entry;
    struct identity *identity;
    bool said;                   /* on purpose: the token ends */
    bool under_way;              /* it waits for a call, or Redis was asked */
    unsigned rounds;             /* answers still wanted: 2 for a join whose outcome is not known */
    char spared[TOKEN_ID_BYTES]; /* who came back: stays for the grace; "" for nobody */
    int64_t until_ms;            /* end of that grace (session_grace_clock) */
};

/* What somebody said, accepted by Redis and not yet sent to all members here. */
enum { SHOWN_WAITS = 256 };
struct shown_wait {
    struct room_entry *entry; /* one of its users */
    uint64_t seq;
    int64_t begun_us; /* when it came */
};

/* People who have not joined, as far as the log is concerned. */
struct strangers {
    struct rate rate; /* of lines about them */
    uint64_t untold;  /* lines left out since the last word about that */
    int64_t told_ms;  /* when that was; 0: never */
};

struct sessions {
    struct sessions_options options;
    struct rooms *rooms;
    struct table *by_id; /* ADMITTED, JOINED, GHOST */
    struct link ghosts;  /* in the order in which they leave */
    struct event *more_ghosts;
    struct link known; /* places with ADMITTED sessions whose join the feed has brought */
    struct event *welcomes;
    struct link farewells;
    struct link floods;       /* who sent more than it may; see session/rate_limit.c */
    struct link ended_floods; /* of connections that ended within the last minute, */
    size_t ended_flood_count; /* so many */
    uint64_t next_number;
    int64_t away_ms;      /* for how long Redis was away, in all */
    int64_t outage_ms;    /* of this, in the outage that is under way or just over */
    int64_t looked_at_ms; /* up to when that is known */
    bool away;
    struct cloak *cloak;
    struct text scratch; /* for what is sent to one member */
    bool admitting;      /* the gateway-id is ours */
    bool beside;         /* another process has members of our gateway-id, too */
    bool draining;
    struct sessions_moves moves;
    uint64_t freed, freed_before; /* sessions and joins, since slabs were trimmed; a second ago */
    uint64_t refresh_walk;        /* over all rooms, each once (rooms_rotate) */
    bool hurry;                   /* until the end of the walk: Redis may have lost members */
    uint64_t calm_s;              /* seconds in which few came and went */
    struct strangers strangers;
    struct shown_wait shown_waits[SHOWN_WAITS];
    size_t shown_count;
};

/* --- sessions.c --- */

/* A walk over all rooms, as rooms_next. */
struct room_entry *session_next_entry(const struct sessions *all, size_t *at);

/* Sends what is in the scratch text. */
void session_send(struct session *session);
void session_error(struct session *session, const struct message_error *error);
void session_refuse(struct session *session, const char *code, const char *sentence);
void session_log(const struct session *session, const char *kind, const char *message);

/* Ends a session as far as this gateway is concerned: no longer in the room here, told to nobody.
 */
void session_end(struct session *session);

/* Frees it once nothing is under way any more; call after in_flight-- and after session_end. */
void session_free_if_over(struct session *session);

bool session_is_member(const struct session *session);

/* Writes a line with more labels (struct log_line), unless there are too many about strangers. */
void session_log_more(const struct session *session, const struct log_line *line);

/* --- rate_limit.c: what each may send, and who sends more --- */

/* Everything that comes from a peer takes a token. Is there one for something that is said or asked
 * for? If not, it is told so: of its message with this nonce, or NULL. Who goes on in spite of that
 * is closed with 4429. */
bool session_has_token(struct session *session, const char *nonce);

/* The same for a sign of life (ping, pong, typing): it is dropped, and nothing is told. */
bool session_has_sign_token(struct session *session);

/* Takes a token for what is done in any case. */
void session_take_token(struct session *session);

/* For struct connection_callbacks. */
bool session_on_control(void *owner, bool ping, const uint8_t *data, size_t len);

/* How much of what its connection sent was refused or dropped. */
uint64_t session_refused(const struct session *session);

/* Its connection has ended. */
void session_end_flood(struct session *session);
void session_flood_tick(struct sessions *all);
void session_free_floods(struct sessions *all);

/* --- close_log.c: the log's word of a connection that ended --- */

/* To be called in on_closed, while all is as it was; afterwards session_lost_word knows why. */
void session_note_lost(struct session *session, const struct connection_end *end);

/* Why the connection was lost, for the line of its leaving: a static string. */
const char *session_lost_word(const struct session *session);

/* --- log_limit.c: how much the log has of who has not joined --- */

void session_init_strangers(struct sessions *all);

/* May a line about it be written? If not, that is counted, and told by the tick. */
bool session_may_log(const struct session *session, enum log_level level);
void session_strangers_tick(struct sessions *all);

/* --- say.c --- */

void session_say(struct session *session, const struct message_in *message);

/* --- delivery_time.c --- */

/* What the session said, and what came at `begun_us` (monotonic; 0: not known), is number `seq`. */
void session_await_shown(struct session *session, uint64_t seq, int64_t begun_us);
void session_forget_shown(struct sessions *all);

/* --- join.c --- */

void session_join(struct session *session, const struct message_in *join);
void session_on_live(struct room_entry *entry);
void session_join_tick(struct room_entry *entry);

/* Its join is over, one way or the other. */
void session_end_joining(struct session *session);
void session_refuse_unavailable(struct session *session);

/* It was ASKED for: what Redis said. */
void session_decide_join(struct session *session, enum commands_join_status status,
                         const struct commands_joined *joined);

/* --- join_batch.c --- */

/* Becomes ASKED: in a call with others who ask at about the same time. Without Redis it is refused.
 */
void session_ask(struct session *session);

/* Who asks from here on is in a later call than those who have asked, and so after whatever stands
 * in line by then. */
void session_close_join_call(struct room_entry *entry);

/* --- welcome.c --- */

/* It waits (ADMITTED). When the feed has brought its join it is welcomed: now, or together with
 * others a moment later. */
void session_welcome_if_known(struct session *session);

/* The same for all of the room who wait for what the feed has just brought. */
void session_welcome(struct room_entry *entry);

/* Those of the room who are to be welcomed a moment later are welcomed now. */
void session_welcome_now(struct room_entry *entry);
void session_on_welcomes(evutil_socket_t fd, short events, void *arg);

/* --- leave.c --- */

/* Leaves the room; the session is a visitor again, or over. */
void session_leave(struct session *session, bool said);

/* Takes back a join whose outcome is not known, should it have happened. Who came back with a token
 * keeps its place for the grace, as after a lost connection. */
void session_retract(struct session *session);
void session_repeat_farewells(struct sessions *all);

/* Is an answer to some awaited that can still come? */
bool session_says_farewells(const struct sessions *all);
void session_free_farewells(struct sessions *all);

/* --- reconcile.c --- */

/* Redis may have gone on with an older memory. A lease and the grace from now on, by when all
 * members have been put back, those who are there for this gateway and are not its own leave. */
void session_reconcile_soon(struct room_entry *entry);
void session_reconcile_tick(struct room_entry *entry);

/* May members be in the room still who had left, because Redis went on with an older memory? */
bool session_is_unsettled(const struct room_entry *entry);

/* --- disconnect.c --- */

/* A clock that stands still while Redis is away: nobody can come back then, so it does not count
 * for the grace. In ms. */
int64_t session_grace_clock(const struct sessions *all);

void session_become_ghost(struct session *session);
void session_on_more_ghosts(evutil_socket_t fd, short events, void *arg);

/* When the members' keys that live from now on are to be refreshed. */
int64_t session_refresh_ms(const struct sessions *all);

/* All members are checked against Redis and put back where they are missing, by and by; in a hurry
 * within half a lease. */
void session_refresh_all(struct sessions *all, bool hurry);

/* The same for a room of which Redis lost its memory, within half a lease. */
void session_refresh_soon(struct room_entry *entry);
void session_stay_tick(struct sessions *all);

/* The member has come back on another socket: this one is told 4409 and forgotten. */
void session_displace(struct session *session);

/* For the bus; the strings are those of the identity. The address is left empty. */
struct commands_member session_bus_member(const struct sessions *all,
                                          const struct identity *identity);

/* The member's address for the operator, as `log-address` says. */
void session_format_address(const struct session *session, char out[ADDRESS_TEXT_BYTES]);

#endif
