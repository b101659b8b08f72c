#include "room/member_list.h"

#include "base/clock.h"
#include "room/feed_read.h"
#include "room/internal.h"

enum {
    FILL_EVERY_MS = 5000 /* an incomplete roster, at most so often */
};

const char *member_list_json(struct room *room, const char *id, const char *json)
{
    presence_batch_seen(room->presence.batch);
    room->list.gave_incomplete |= roster_is_incomplete(room->roster);
    return roster_list(room->roster, id, json);
}

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

static void append_list(struct room *room)
{
    struct text json = TEXT_EMPTY;
    if (room->list.ready)
        room->list.due = room->list.ready = false;
    room->list.gave_incomplete = false;
    message_add_members(&json, room->seq, roster_count(room->roster),
                        member_list_json(room, "", NULL));
    subscribers_append(room->subscribers, frame_new_text(json.data, json.len),
                       (struct room_log_mark){room->seq, clock_monotonic_ms(), true}, true);
    text_done(&json);
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
    bool may_fill = room->list.filled_ms == 0 || now_ms - room->list.filled_ms >= FILL_EVERY_MS;
    if (room->list.read_at_ms != 0 || !may_fill || subscribers_count(room->subscribers) == 0 ||
        !roster_is_incomplete(room->roster))
        return;
    room->list.filled_ms = room->list.read_at_ms = now_ms;
}

void member_list_tick(struct room *room, uint64_t now_ms)
{
    if (room->list.ready || is_whole_due(room))
        append_list(room);
    complete_roster(room, now_ms);
    if (room->list.read_at_ms != 0 && room->list.read_at_ms <= now_ms) {
        room->list.read_at_ms = 0;
        feed_read_roster(room->feed);
    }
}
