/* topic: a room as Redis knows it: its channel, its keys, and how a call of a script about it
 * begins; and the names of everything else that we keep in Redis, in one place. All keys of a room
 * share the hash tag {ROOM}. A key belongs to a database; a publication does not, so a channel of a
 * database other than 0 bears its number. */
#ifndef YUKIZURI_BROKER_TOPIC_H
#define YUKIZURI_BROKER_TOPIC_H

#include "config/config.h"
#include "redis/script.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEY_BYTES = 512 }; /* longest key: prefix 64, room 192, name 192 and the words between */

struct key {
    char text[KEY_BYTES];
};

struct batch;
struct commands;

struct topic {
    const struct commands *commands; /* what calls about it are made with (broker/commands.h) */
    const struct config *config;
    struct key channel;  /* where its events are published: P:{R}, or P@N:{R} */
    struct key base;     /* what its keys begin with: P:{R} */
    struct batch *batch; /* publish_batch's own: the one that is not sent yet; or NULL */
};

/* Over which calls are made (broker/commands.c). */
struct redis *commands_redis(const struct commands *commands);

/* Both must outlive it. */
struct topic topic_of(const struct commands *commands, const struct config *config,
                      const char *room);

/* script_begin, with the three keys and four arguments that prelude.lua reads; among them the epoch
 * that begins, should the room have none. */
void topic_begin_call(const struct topic *topic, struct script_call *call, const char *script);

/* One more key: P:{R}:PART, or P:{R}:PART:ITEM when `item` is not NULL. */
void topic_add_key(const struct topic *topic, struct script_call *call, const char *part,
                   const char *item);

/* One more argument: what such keys begin with, P:{R}:PART: */
void topic_add_base(const struct topic *topic, struct script_call *call, const char *part);

/* Channels: P:{R} and P:gateway:ID, or P@N:{R} in database N. */
struct key key_channel(const struct config *config, const char *room);
struct key key_gateway_channel(const struct config *config, const char *id);

struct key key_control_channel(const struct config *config); /* P:control, or P@N:control */

/* The name of the room whose channel this is. False for any other channel. */
bool key_channel_room(const char *channel, struct key *out);

struct key key_room(const char *prefix, const char *room); /* P:{R}, what its keys begin with */
struct key key_part(const char *base, const char *part);   /* P:{R}:head, P:gateways, … */
struct key key_item(const char *room, const char *part, const char *item); /* P:{R}:member:N */
struct key key_gateway(const char *prefix, const char *id);                /* P:gateway:ID */
struct key key_gateway_rooms(const char *prefix, const char *id);          /* P:gateway:ID:rooms */
struct key key_gateway_gone(const char *prefix, const char *id);           /* P:gateway:ID:gone */
struct key key_gateway_kept(const char *prefix, const char *id);           /* P:gateway:ID:kept */
struct key key_reap_claim(const char *prefix, const char *id);             /* P:bury:ID */

#endif
