/* keys: the names of everything we keep in Redis, in one place. All keys of a room share the hash
 * tag {ROOM}. */
#ifndef YUKIZURI_KEYS_H
#define YUKIZURI_KEYS_H

enum { KEY_BYTES = 512 }; /* longest key: prefix 64, room 128, name 128 and the words between */

struct key {
    char text[KEY_BYTES];
};

struct key key_room(const char *prefix, const char *room);  /* P:{R}, the channel */
struct key key_part(const char *channel, const char *part); /* P:{R}:head, … */
struct key key_item(const char *channel, const char *part, const char *item); /* P:{R}:member:N */
struct key key_global(const char *prefix, const char *part);      /* P:gateways, P:control */
struct key key_gateway(const char *prefix, const char *id);       /* P:gateway:ID */
struct key key_gateway_rooms(const char *prefix, const char *id); /* P:gateway:ID:rooms */
struct key key_gateway_probe(const char *prefix, const char *id); /* P:gateway:ID:probe */
struct key key_bury(const char *prefix, const char *id);          /* P:bury:ID */

#endif
