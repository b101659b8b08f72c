#include "room/retention.h"

#include "base/clock.h"
#include "room/internal.h"

#include <string.h>

enum {
    SHORTEST_KEEP_MS = 5000, /* a slow reader gets at least so long, whatever the retention */
    PRESENCE_TICKS = 10,     /* Redis may keep who came and went for so much longer */
};

/* Bytes that the log may have: `retention-bytes`, and no more than is left of the total for it and
 * for all other rooms (a dynamic threshold, as in websocket/connections.h): the biggest forget
 * first. */
static uint64_t find_most_bytes(const struct room *room)
{
    const struct config *config = room->rooms->commands->config;
    uint64_t most = config->retention_bytes > 0 ? config->retention_bytes : UINT64_MAX;
    uint64_t total = config->retention_bytes_total;
    uint64_t used = rooms_count_bytes(room->rooms);
    uint64_t left = total == 0 ? UINT64_MAX : total > used ? total - used : 0;
    return left < most ? left : most;
}

static void count_bytes(struct room *room)
{
    uint64_t bytes = room_log_bytes_from(room->log, room_log_tail(room->log));
    room->rooms->kept_bytes += bytes - room->kept_bytes;
    room->kept_bytes = bytes;
}

/* Where the log shall begin, at most at `limit`: what is before is too old or too much. */
static uint64_t find_tail(const struct room *room, uint64_t limit)
{
    int64_t keep_ms = (int64_t)room->rooms->commands->config->retention * 1000;
    if (keep_ms < SHORTEST_KEEP_MS)
        keep_ms = SHORTEST_KEEP_MS;
    int64_t oldest_ms = clock_monotonic_ms() - keep_ms;
    uint64_t tail = room_log_tail(room->log);
    uint64_t excess = room_log_excess(room->log);
    uint64_t most_bytes = find_most_bytes(room);
    while (tail < limit && (tail < excess || room_log_bytes_from(room->log, tail) > most_bytes ||
                            room_log_mark(room->log, tail).at_ms < oldest_ms))
        tail++;
    return tail;
}

/* Forgets what is too old or too much of the frames before `limit`; nobody but the slow is before
 * it when this is called. */
static void trim(struct room *room, uint64_t limit)
{
    count_bytes(room);
    uint64_t tail = find_tail(room, limit);
    if (tail > room_log_tail(room->log))
        subscribers_cut_before(room->subscribers, tail);
    while (room_log_tail(room->log) < tail) {
        struct room_log_mark oldest = room_log_mark(room->log, room_log_tail(room->log));
        if (replay_window_forget(room->window, oldest.seq, room_log_tail(room->log))) {
            room->forgotten.seq = oldest.seq;
            room->forgotten.message |=
                replay_window_messages(room->window, oldest.seq - 1, oldest.seq) > 0;
        }
        room_log_evict(room->log);
    }
    count_bytes(room);
}

void retention_on_served(void *owner, uint64_t limit)
{
    struct room *room = owner;
    if (limit > room_log_tail(room->log))
        room->delivered_seq = room_log_mark(room->log, limit - 1).seq;
    trim(room, limit);
}

/* The number of the last event that Redis is to forget as well; 0 when it need not be told: nothing
 * was forgotten, or nothing is left (the stream's own TTL ends then as well), or only who came and
 * went was (that waits: a burst that came within seconds would cost a command for each of them). */
static uint64_t take_forgotten(struct room *room)
{
    uint64_t seq = room->forgotten.seq;
    bool all = seq == room->seq;
    room->forgotten.ticks += seq != 0;
    if (all || (!room->forgotten.message && room->forgotten.ticks < PRESENCE_TICKS))
        return 0;
    memset(&room->forgotten, 0, sizeof room->forgotten);
    return seq;
}

void retention_tick(struct room *room)
{
    if (!subscribers_is_busy(room->subscribers))
        trim(room, room_log_head(room->log));
    uint64_t forgotten = take_forgotten(room);
    if (forgotten > 0 && feed_is_current(room->feed))
        commands_trim(feed_topic(room->feed), feed_epoch(room->feed), forgotten);
}
