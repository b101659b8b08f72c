/* feed_read: what a feed (feed.h) reads from Redis: who is in the room, and the kept events, page
 * by page, with the epoch that they are of. Delivers events in order, those that the channel
 * brought included. */
#ifndef YUKIZURI_ROOM_FEED_READ_H
#define YUKIZURI_ROOM_FEED_READ_H

#include "protocol/room_event.h"

#include <stdbool.h>

struct feed;

/* Delivers the event and returns true, if it is the next one. May call the feed's owner back, who
 * may close the feed. */
bool feed_deliver(struct feed *feed, const struct room_event *event);

/* Reads what is kept after the last event delivered, or the next page of it; what arrives meanwhile
 * is to be queued. feed_tick repeats it when there is no connection, or no answer that makes sense.
 */
void feed_read_kept(struct feed *feed);

/* Reads the roster again, for feed_callbacks.on_roster; once more when that is under way. */
void feed_read_roster(struct feed *feed);

#endif
