/* world: a gateway without its doors and its process, over a scripted Redis (fake_redis.h), in the
 * test's own time (virtual_time.h): the rooms, their members and their connections; and, where a
 * test asks for it, what it knows of other gateways. One at a time.
 *
 * The test speaks as clients (client.h) and as Redis. What a Redis would answer by itself is
 * answered by rules; all other calls wait for the test. Its files alone know how a gateway is put
 * together. */
#ifndef YUKIZURI_UNIT_WORLD_H
#define YUKIZURI_UNIT_WORLD_H

#include "client.h"
#include "fake_redis.h"
#include "telemetry/refusals.h"
#include "virtual_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORLD_LEASE_MS = 10000,
    WORLD_GRACE_MS = 15000,
    WORLD_DEADLINE_MS = 5000, /* of a call to Redis, and of each half of a join */
};

#define WORLD_GATEWAY "here"
#define WORLD_ROOM    "lobby"
#define WORLD_CHANNEL "yukizuri:{lobby}"

/* Everything is up: Redis is connected, people may join. `setting` ("--leave-grace=0") is one more
 * setting; NULL: the defaults. For cmocka: world_setup, world_teardown. */
void world_open(const char *setting);
void world_close(void);
int world_setup(void **state);
int world_teardown(void **state);

/* The same with what knows other gateways; Redis is connected, and nothing was answered yet that
 * that asks. */
void world_open_membership(void);

/* How often it was said that people may join from now on. */
unsigned world_count_admitting(void);

/* --- Redis --- */

/* The next call of this name (see fake_redis_await) that was neither answered by a rule nor
 * returned here; time passes until it comes. */
struct fake_redis_call *world_await(const char *name);

/* When all has settled, no such call has come. Those that have are not waited for any more. */
void world_expect_none(const char *name);

/* How many have come in all, those that rules answered included. */
size_t world_count(const char *name);

/* The last one of this name with this first key or argument, whoever answered it; NULL: none. And
 * how many of these have come. */
struct fake_redis_call *world_last(const char *name, const char *key);
size_t world_count_of(const char *name, const char *key);

/* From here on calls of this name get this value (fake_redis_answer). `key` is the first key of a
 * script, or the first argument of a command; NULL: whatever it is. A rule for a key goes before
 * one for all; a later one takes the place of an earlier one. world_hold ends the rule. */
void world_when(const char *name, const char *key, const char *value);
void world_hold(const char *name, const char *key);

/* The connections end, and no new one becomes usable until world_redis_back. */
void world_redis_away(void);
void world_redis_back(void);

/* From here on Redis does not tell which process it is. */
void world_redis_hides(void);

/* From here on Redis has no key for the addresses of a day; or has one for all days. */
void world_redis_has_address_key(bool has);

/* From here on Redis does not answer whether an address is banned. */
void world_redis_tells_no_bans(void);

/* The connections end, calls wait for another Redis (redis_hold), and the channel of operators is
 * heard before that one can be asked anything. */
void world_redis_awaited(void);

/* The room, as Redis has it: what roster and recent answer, and who is let in where. */
void world_set_room(const char *epoch, uint64_t seq);
uint64_t world_seq(void);

/* An event of the room: numbered, and published. */
void world_publish_presence(const char *joined, const char *left);
void world_publish_message(const char *text);

/* On the room's channel, without a number; on this gateway's own; on that of operators. */
void world_tell_room(const char *json);
void world_tell_gateway(const char *format, ...) __attribute__((format(printf, 1, 2)));
void world_order(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- Members --- */

/* Somebody connects and wants to talk in WORLD_ROOM. The client is freed by world_close. */
struct client *world_connect(void);

/* Sends a join; `token` and `since` as in the protocol, NULL and 0: none. */
void world_ask(struct client *client, const char *name);
void world_ask_again(struct client *client, const char *name, const char *token, uint64_t since);

/* What a call of join.lua says of the person at this index. */
enum world_join_word {
    WORLD_JOIN_NAME,
    WORLD_JOIN_ADDRESS,
    WORLD_JOIN_SHOWN_ADDRESS,
    WORLD_JOIN_MARK,
    WORLD_JOIN_SESSION,
    WORLD_JOIN_NEW_ID,
    WORLD_JOIN_NEW_HASH,
    WORLD_JOIN_SHOWN_ID,
    WORLD_JOIN_SHOWN_HASH,
    WORLD_JOIN_BASE,
    WORLD_JOIN_ASKED,
    WORLD_JOIN_REINSTATE,
    WORLD_JOIN_FLOOR,
    WORLD_JOIN_FLOOR_EPOCH,
    WORLD_JOIN_WORDS /* so many */
};
size_t world_join_count(const struct fake_redis_call *call);
const char *world_join_word(const struct fake_redis_call *call, size_t index,
                            enum world_join_word word);

/* Answers it: all are in, as new, and a presence event says so before that. */
void world_let_in(struct fake_redis_call *call);

/* The same: the room is full for all of them. */
void world_refuse(struct fake_redis_call *call);

/* The two halves of world_let_in. The event is numbered and published; the answer tells of the last
 * number.
 */
void world_publish_joined(const struct fake_redis_call *call);
void world_answer_joined(struct fake_redis_call *call);

/* The same of one who shows a token, and is in already: nobody is told. */
void world_resume(struct fake_redis_call *call);

/* What a call of leave.lua says of the member at this index: which session, whether it was said,
 * which id is spared. */
enum world_leave_word { WORLD_LEAVE_SESSION, WORLD_LEAVE_SAID, WORLD_LEAVE_SPARED };
size_t world_leave_count(const struct fake_redis_call *call);
const char *world_leave_word(const struct fake_redis_call *call, size_t index,
                             enum world_leave_word word);

/* Answers it: they are gone, and a presence event says so. */
void world_take_off(struct fake_redis_call *call);

/* Somebody who is in, welcomed, and has read all that came. */
struct member {
    struct client *client;
    char name[32];
    char id[16];
    char token[48];
    char session[32]; /* of the gateway's, as Redis was told */
};
struct member world_join(const char *name);

/* Comes back on another socket with its token, up to date; the same as `member` from here on. */
void world_come_back(struct member *member);

/* So many are in, whose connection is lost. */
uint64_t world_detached(void);

/* How often somebody was refused for that reason. */
uint64_t world_refused(enum refusal reason);

/* --- What knows other gateways (world_open_membership) --- */

/* What it has said to the gateway, a word for each, with a space behind it, in order: taken,
 * lapsed, refused, superseded, waiting, waiting-no-more, shared, alone (only when that changes).
 * Forgets it. */
const char *world_told(void);

void world_open_room(const char *name);

/* All that were opened are closed, after a while. */
void world_close_rooms(void);
void world_drain(void);

/* Gives the lease back; false when there is nothing to give. Then "left" is told. */
bool world_give_back(void);

/* --- What the gateway is told by what the test has not got --- */

void world_lease_lapsed(void);
void world_set_id_shared(bool id_shared);

/* It goes away: members are told to move. */
void world_drain_members(void);

#endif
