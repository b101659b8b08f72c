/* member_list: the list of who is in a room, as members get it; when the roster is read from Redis
 * again, and when everybody here gets the list: after a gap in which people came or went unseen,
 * when keys may have run out, and when the roster names fewer than it could. */
#ifndef YUKIZURI_ROOM_MEMBER_LIST_H
#define YUKIZURI_ROOM_MEMBER_LIST_H

#include <stdint.h>

struct room;

/* The people whom a list names, as JSON objects between commas; among them, when there is an `id`,
 * the person of that id, whose object is `json`. Whoever gets it knows of those who are in the
 * presence batch. Valid until the next call. */
const char *member_list_json(struct room *room, const char *id, const char *json);

/* The roster is to be read in so long, and everybody here gets the list then. */
void member_list_schedule(struct room *room, uint64_t after_ms);

/* The roster was read. */
void member_list_on_roster(struct room *room);

/* To be called once a second. */
void member_list_tick(struct room *room, uint64_t now_ms);

#endif
