/* retention: what a room forgets: what is older than `retention`, or more than
 * `retention-messages` and `retention-bytes` allow, and than what is left of
 * `retention-bytes-total`. */
#ifndef YUKIZURI_ROOM_RETENTION_H
#define YUKIZURI_ROOM_RETENTION_H

#include <stdint.h>

struct room;

/* For subscribers_options, with the room as owner. */
void retention_on_served(void *owner, uint64_t limit);

/* To be called once a second: forgets what is due, here and in Redis. */
void retention_tick(struct room *room);

#endif
