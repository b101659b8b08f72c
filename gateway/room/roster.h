/* roster: some of the people in a room, on whatever gateway, and the count of all of them.
 *
 * A welcome names at most ROSTER_MOST members, so no gateway holds more than that of a room: the
 * roster of a room of a million costs what one of two hundred costs. Filled from Redis when the
 * room opens, kept by events, and filled again when many have left. Applying an event twice changes
 * nothing. No I/O. */
#ifndef YUKIZURI_ROOM_ROSTER_H
#define YUKIZURI_ROOM_ROSTER_H

#include "protocol/room_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROSTER_MOST = 200 };

struct roster;

struct roster *roster_new(void);
void roster_free(struct roster *roster);

/* Forgets everybody. */
void roster_clear(struct roster *roster);

/* Applies a presence event; the persons' JSON stays the event's. */
void roster_apply(struct roster *roster, const struct room_event *event);

uint64_t roster_count(const struct roster *roster);

/* Does it name fewer than it could? */
bool roster_is_incomplete(const struct roster *roster);

/* The persons, comma-separated, `id` (whose JSON is `json`) always among them. The string belongs
 * to the roster: valid until the next call. */
const char *roster_list(struct roster *roster, const char *id, const char *json);

#endif
