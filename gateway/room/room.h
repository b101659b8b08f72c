/* room: the members of one room who are on this gateway, and the log of frames that they are
 * cursors into (history/room_log.h).
 *
 * Owns the log, the roster and the audience; does not own the connections in it. Events come in the
 * order of their numbers (broker/broker.h sees to that) and become frames once; presence is
 * gathered, so that a burst of people costs one line. The audience carries the frames to the
 * sockets.
 *
 * Calls nobody but connections and the `on_happened` of its maker. */
#ifndef YUKIZURI_ROOM_ROOM_H
#define YUKIZURI_ROOM_ROOM_H

#include "base/pacer.h"
#include "config/config.h"
#include "protocol/message.h"
#include "room/feed.h"
#include "telemetry/metrics.h"
#include "websocket/connection.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct room;

/* What the lines of coming and going take of a gateway, over all its rooms. */
struct room_lines {
    struct pace pace;
    struct pace_limit limit;
};

/* Nothing is spent yet. Asks how many cores there are: the workers of `config` share them. */
void room_lines_init(struct room_lines *lines, const struct config *config);

struct room_options {
    struct event_base *base;
    struct audiences *audiences;
    const struct config *config;
    struct metrics *metrics;
    struct room_lines *lines; /* shared by all rooms */
    /* Whoever waits for an event up to room_seq may enter: the roster knows of it. `hurry`: before
     * what is said next, which is for all who came in before it. */
    void (*on_happened)(void *owner, bool hurry);
    void *owner;
};

struct room *room_new(const struct room_options *options);

/* The room must have no members any more; NULL is fine. */
void room_free(struct room *room);

/* --- What happens in it; called by whoever has the feed --- */

/* The room is known from here on: `seq` was its last event when the roster was read. */
void room_start(struct room *room, uint64_t seq);

/* An event that is kept for replay only: it happened before the roster was read. */
void room_remember(struct room *room, const struct room_event *event, int64_t at_ms);

/* An event. The roster changes with it. */
void room_happen(struct room *room, const struct room_event *event);

/* Events passed that nobody can bring back. Members are told, unless no message was among them. */
void room_gap(struct room *room, const struct feed_gap *gap, const char *epoch);

/* Numbers go on in another epoch, and nothing was missed: members are told where they are. */
void room_epoch(struct room *room, const char *epoch);

/* The roster as Redis has it: begin, add each, done. */
void room_roster_begin(struct room *room);
void room_roster_add(struct room *room, const char *id, const char *name, const char *address);
void room_roster_done(struct room *room, uint64_t count);

/* An event that happened (room_happen) while the roster was on its way, and is not in it. */
void room_roster_catch_up(struct room *room, const struct room_event *event);

/* Sends the list to everybody here: they may have missed who came and went. */
void room_tell_list(struct room *room);

/* Can the list name everybody now, and was somebody given one that named fewer than it could? */
bool room_owes_list(const struct room *room);

/* Does the roster name fewer people than it could? */
bool room_roster_is_thin(const struct room *room);

/* --- Members --- */

/* Where a member comes in. */
struct room_entry {
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

/* Adds a connection; frames flow to it from the end of this turn on. While presence is being
 * gathered the view is ahead of the frames: the line that follows may name those in the list. */
struct room_view room_enter(struct room *room, struct connection *connection,
                            const struct room_entry *entry);

/* Takes a connection out; what it has half received is finished. Does nothing when it is not in. */
void room_exit(struct room *room, struct connection *connection);

/* How many messages have passed since that number. */
uint64_t room_messages_since(const struct room *room, uint64_t since);

uint64_t room_seq(const struct room *room);

/* The number of the last message or line that all members here were sent, but those who read too
 * slowly. It may go back: another epoch has other numbers. */
uint64_t room_shown_seq(const struct room *room);
uint64_t room_count(const struct room *room);
size_t room_members_here(const struct room *room);

/* The people whom a list names, as JSON objects between commas; among them, when there is an `id`,
 * the person of that id, whose object is `json`. Whoever gets it has seen who is gathered. Valid
 * until the next call. */
const char *room_list(struct room *room, const char *id, const char *json);

/* To be called once a second: forgets what is older than `retention`. Returns the number of the
 * last event that Redis is to forget as well; 0 when it need not be told: nothing was forgotten, or
 * nothing is left (the stream's own TTL ends then, too), or only who came and went was (that waits
 * up to ten calls: a crowd that came within seconds would cost a command for each of them). */
uint64_t room_tick(struct room *room);

#endif
