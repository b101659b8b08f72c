/* room_world: one room, what happens in it, and members on real sockets (pairs) with a real event
 * loop; what they get is written down as words. Below the room is a feed that tells what a test
 * says, and no Redis. The only file of the room's tests that knows how a room is put together. */
#ifndef YUKIZURI_ROOM_WORLD_H
#define YUKIZURI_ROOM_WORLD_H

#include "base/text.h"
#include "room/registry.h"

#include <stdbool.h>
#include <stdint.h>

enum { ROOM_GUESTS = 64 };

struct room_world;

/* Somebody who is here. */
struct guest {
    struct room_world *world;
    struct connection *connection; /* NULL once it has ended */
    int peer;                      /* its end of the socket */
    struct room_view view;         /* what it was told on the way in */
    struct text bytes;             /* received, not read yet */
    struct text words;             /* see got */
    char people[2048];             /* ids, with a space behind each: the list, kept by lines */
    uint64_t count;                /* of the list or the latest line */
    unsigned closed;               /* the code of a close frame that came; 0: none */
};

struct room_world {
    struct event_base *base;
    struct poller *poller;
    struct batch_send *sender;
    struct metrics metrics;
    struct config config;
    struct connections *connections;
    struct fanout *fanout;
    struct broker *broker; /* a stand-in: the settings and counters that a room takes of it */
    struct rooms *rooms;
    struct room *room;
    struct guest guests[ROOM_GUESTS];
    size_t guest_count;
    struct text happened; /* see happened */
};

/* For cmocka: *state is the world; the room begins at number 0, with nobody in its list. */
int room_world_set_up(void **state);
int room_world_tear_down(void **state);

/* The room is made again, with the settings that `config` has; it is not begun. */
void renew_room(struct room_world *world);

/* --- What happens --- */

void begin_at(struct room_world *world, uint64_t seq);
void deliver_message(struct room_world *world, uint64_t seq);
/* `joined` and `left` are ids, with spaces. */
void deliver_presence(struct room_world *world, uint64_t seq, const char *joined, const char *left,
                      uint64_t count);
void deliver_typing(struct room_world *world);
void deliver_notice(struct room_world *world, const char *text);
void remember_message(struct room_world *world, uint64_t seq, int64_t age_ms);
void remember_presence(struct room_world *world, uint64_t seq, int64_t age_ms);
void deliver_gap(struct room_world *world, uint64_t seq, uint64_t missed);
void deliver_epoch_reset(struct room_world *world, const char *epoch, uint64_t seq, uint64_t fork);
void deliver_epoch(struct room_world *world, const char *epoch);
void deliver_roster(struct room_world *world, const char *ids, uint64_t count);

/* A second has passed: up to which number Redis is to forget; 0 for nothing. */
uint64_t second_passes(struct room_world *world);

/* Does the room want the roster to be read, since the last call? */
bool roster_asked(struct room_world *world);

/* The roster may be wrong, and a lease has passed: the room has asked for it. Once it is received,
 * it is told to everybody with the next second. */
void doubt_roster(struct room_world *world);

/* What the room told its maker since the last call: "hurry@SEQ" or "news@SEQ", with the number that
 * the room was at. */
const char *happened(struct room_world *world);

/* --- Who is here --- */

/* Comes in, and is given the list. */
struct guest *enter(struct room_world *world);
/* Has seen everything up to `since`. */
struct guest *come_back(struct room_world *world, uint64_t since);
void leave(struct guest *guest);

/* Ids of the list that somebody with this id would get, sorted; valid until the next call. */
const char *list_for(struct room_world *world, const char *id);

/* Lets the loop run until nothing is due at once, and returns what the guest has got since the last
 * call, with spaces:
 *   m9                  message         p9+b-c=2  line up to number 9: b came, c went, 2 are here
 *   gap:SEQ/MISSED      gap             epoch:EPOCH@SEQ
 *   members:SEQ=COUNT   the list        typing, notice:TEXT */
const char *got(struct guest *guest);

/* The same, when something has come, within a deadline. */
const char *await_news(struct guest *guest);

#endif
