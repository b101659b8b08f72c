/* rooms_world: the rooms of a gateway over a scripted Redis (fake_redis.h), and one member on a
 * real socket. What the rooms tell their maker is written down as words. */
#ifndef YUKIZURI_ROOMS_WORLD_H
#define YUKIZURI_ROOMS_WORLD_H

#include "base/text.h"
#include "fake_redis.h"
#include "room/registry.h"

#include <stdbool.h>
#include <stddef.h>

#define ROOMS_CHANNEL "yukizuri:{tea}"

struct rooms_world {
    struct event_base *base;
    struct fake_redis *fake;
    struct config config;
    struct metrics metrics;
    struct broker *broker;
    struct poller *poller;
    struct batch_send *sender;
    struct fanout *fanout;
    struct connections *connections;
    struct connection *guest;
    struct room *guest_room;
    int peer;         /* the guest's end of the socket */
    struct text told; /* what the rooms told, see told */
    struct rooms *rooms;
};

/* For cmocka: *state is the world. Redis is up, no room is there. */
int rooms_world_set_up(void **state);
int rooms_world_tear_down(void **state);

/* All that the rooms told since the last call, when everything has happened that follows from what
 * was sent: opened, live, hurry, news, reset, epoch, closed, each with ":ROOM" behind it. */
const char *told(struct rooms_world *world);

/* A second has passed. */
void tick(struct rooms_world *world);

/* A user more of this room, which is opened. */
struct room *open_room(struct rooms_world *world, const char *name);

/* The same of "tea", which is live then: its last number is 3, of the epoch "one". */
struct room *open_live(struct rooms_world *world);

/* The next call is answered: one member, Ann, and so many in all; nothing that is kept. */
void answer_roster(struct rooms_world *world, const char *epoch, unsigned seq, unsigned count);
void answer_kept(struct rooms_world *world, const char *epoch, unsigned head, const char *forks);
size_t roster_calls(const struct rooms_world *world);

/* In "tea". */
void publish_message(struct rooms_world *world, unsigned seq);

bool is_listening(const struct rooms_world *world, const char *channel);

/* One member comes in, and what it has received since the last call. */
void enter(struct rooms_world *world, struct room *room);
const char *got(struct rooms_world *world);

#endif
