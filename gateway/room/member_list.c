/* When the roster is read from Redis again, and when everybody here gets the list: after a gap in
 * which people came or went unseen, when keys may have run out, and when the roster names fewer
 * than it could. */
#include "room/internal.h"

#include "base/clock.h"
#include "room/feed_read.h"

enum {
    ROSTER_REST_MS = 5000 /* while people leave, an incomplete roster is filled again so seldom */
};

void member_list_schedule(struct room *room, uint64_t after_ms)
{
    uint64_t at_ms = (uint64_t)clock_monotonic_ms() + after_ms;
    if (room->list.read_at_ms < at_ms)
        room->list.read_at_ms = at_ms;
    room->list.due = true;
    room->list.ready = false;
}

void member_list_on_roster(struct room *room)
{
    room->list.ready = room->list.due && room->list.read_at_ms == 0;
}

static void tell_list(struct room *room)
{
    struct text json = TEXT_EMPTY;
    room->list.gave_incomplete = false;
    message_add_members(&json, room->seq, roster_count(room->roster), room_list(room, "", NULL));
    room_append(room, &json, ROOM_TRANSIENT | ROOM_URGENT);
}

/* Can the list name everybody now, and was somebody given one that named fewer than it could? */
static bool is_whole_due(const struct room *room)
{
    return room->list.gave_incomplete && roster_count(room->roster) <= ROSTER_MOST &&
           !roster_is_incomplete(room->roster);
}

/* A burst that leaves a big room makes its list incomplete again and again, on every gateway: it is
 * filled seldom, and where nobody is connected only for whoever comes. */
static void complete_roster(struct room *room, uint64_t now_ms)
{
    bool rested = room->list.filled_ms == 0 || now_ms - room->list.filled_ms >= ROSTER_REST_MS;
    if (room->list.read_at_ms != 0 || !rested || room_members_here(room) == 0 ||
        !roster_is_incomplete(room->roster))
        return;
    room->list.filled_ms = room->list.read_at_ms = now_ms;
}

void member_list_tick(struct room *room, uint64_t now_ms)
{
    if (room->list.ready) {
        room->list.due = room->list.ready = false;
        tell_list(room);
    } else if (is_whole_due(room)) {
        tell_list(room);
    }
    complete_roster(room, now_ms);
    if (room->list.read_at_ms != 0 && room->list.read_at_ms <= now_ms) {
        room->list.read_at_ms = 0;
        feed_read_roster(room->feed);
    }
}
