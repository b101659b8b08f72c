/* room: one room as this gateway has it: the log of frames (history/room_log.h), who is in it on
 * all gateways (roster), and the members who are here, as cursors into the log (subscribers).
 *
 * Made by name (registry.h). It opens with its first member: then it has a feed (feed.h), whose
 * events it takes in the order of their numbers and makes frames of, once each. Presence is
 * batched, so that a burst of people costs one line. It does not own the connections in it, and
 * knows nothing of sessions: whoever has them keeps what is theirs in the room's owner. */
#ifndef YUKIZURI_ROOM_ROOM_H
#define YUKIZURI_ROOM_ROOM_H

#include "room/feed.h"
#include "websocket/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct room;

const char *room_name(const struct room *room);

/* What rooms_callbacks.on_made gave. */
void *room_owner(const struct room *room);

/* Opens it, should it not be open. */
void room_open(struct room *room);
bool room_is_open(const struct room *room);

/* Is it open, and the number of its last event known? */
bool room_is_live(const struct room *room);

/* Of a room that is open. */
struct feed *room_feed(const struct room *room);
struct topic *room_topic(const struct room *room);

/* --- Members --- */

/* Where a member comes in. */
struct room_arrival {
    bool resumes; /* has seen everything up to `since` */
    uint64_t since;
};

/* What a member is told on the way in. */
struct room_view {
    uint64_t seq; /* everything up to here is in the count and the list */
    uint64_t count;
    uint64_t missed; /* messages after `since` that the log no longer has */
    uint64_t from;   /* the frames that follow are those after this number */
};

/* Adds a connection; frames flow to it from the end of this iteration on. While a presence batch is
 * open the view is ahead of the frames: the line that follows may name those in the list. */
struct room_view room_enter(struct room *room, struct connection *connection,
                            const struct room_arrival *arrival);

/* Takes a connection out; what it has half received is finished. Does nothing when it is not in, or
 * the room is not open. */
void room_exit(struct room *room, struct connection *connection);

/* How many messages have passed since that number. */
uint64_t room_messages_since(const struct room *room, uint64_t since);

/* What was said is not replayed any more, to nobody, and members here are told to forget it, with
 * this text. The room is open. */
void room_clear(struct room *room, const char *text);

uint64_t room_seq(const struct room *room);

/* The number of the last message or line that all members here were sent, but those who read too
 * slowly. It may go back: another epoch has other numbers. */
uint64_t room_delivered_seq(const struct room *room);
uint64_t room_count(const struct room *room);
size_t room_members_here(const struct room *room);

/* --- For registry.c --- */

struct rooms;

/* Made with its owner (rooms_callbacks.on_made); it is not open. */
struct room *room_new(struct rooms *rooms, const char *name);

/* Closes it, if it is open, and frees it. */
void room_free(struct room *room);

#endif
