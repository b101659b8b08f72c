/* presence_line: tells members who comes and goes: at once while it is quiet, and in a burst as one
 * line for all who came and went within a window. */
#ifndef YUKIZURI_ROOM_PRESENCE_LINE_H
#define YUKIZURI_ROOM_PRESENCE_LINE_H

#include "protocol/room_event.h"

struct room;

/* What a room needs for it, made and freed. */
void presence_line_open(struct room *room);
void presence_line_close(struct room *room);

/* Takes a presence event, of the number that the room has now; copies what it needs. */
void presence_line_add(struct room *room, const struct room_event *event);

/* Appends the line of all who are in the batch: what follows must not overtake it. */
void presence_line_flush(struct room *room);

#endif
