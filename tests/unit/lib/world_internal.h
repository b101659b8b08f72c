/* What the files of the world share: world.c (how a gateway is put together, and what it is told),
 * world_calls.c (what Redis is asked) and world_members.c (the room and its members). */
#ifndef YUKIZURI_UNIT_WORLD_INTERNAL_H
#define YUKIZURI_UNIT_WORLD_INTERNAL_H

#include "world.h"

#include "broker/broker.h"
#include "config/config.h"
#include "config/quota.h"
#include "session/sessions.h"

enum { WORLD_CLIENTS = 64 };

extern struct world {
    struct fake_redis *fake;
    struct config config;
    struct metrics metrics;
    struct refusals *refusals;
    struct poller *poller;
    struct batch_send *sender;
    struct fanout *fanout;
    struct broker *broker;
    struct connections *connections;
    struct quota *quota;
    struct sessions *sessions;
    struct membership *membership;
    struct event *tick;
    bool id_shared;
    char told[1024];
    unsigned admitting;

    struct client *clients[WORLD_CLIENTS];
    size_t client_count;
    struct room *rooms[4]; /* held by world_open_room */
    size_t room_count;

    /* the room, as Redis has it */
    char epoch[24];
    uint64_t seq;
    long long count;
} world;

/* Takes up what has come since the last time, and answers what there is a rule for. */
void world_note_calls(void);

/* None has come, and the rules are those of a Redis in which nothing unusual happens. */
void world_forget_calls(void);

#endif
