#include "session/delivery_time.h"

#include "base/clock.h"

enum { LATEST_US = 30000000 /* whoever it was for has gone, or the numbers begin anew */ };

static void forget(struct shown_wait *wait)
{
    room_release(wait->entry->room);
}

void session_await_shown(struct session *session, uint64_t seq, int64_t begun_us)
{
    struct sessions *all = session->all;
    if (begun_us == 0 || all->shown_count == SHOWN_WAITS) /* then only some are measured */
        return;
    struct room_entry *entry = session->entry;
    room_hold(entry->room);
    all->shown_waits[all->shown_count++] = (struct shown_wait){entry, seq, begun_us};
}

static bool is_shown(const struct shown_wait *wait)
{
    return room_is_open(wait->entry->room) && room_shown_seq(wait->entry->room) >= wait->seq;
}

void sessions_end_turn(struct sessions *all)
{
    size_t kept = 0;
    if (all->shown_count == 0)
        return;
    int64_t now_us = clock_monotonic_us();
    for (size_t i = 0; i < all->shown_count; i++) {
        struct shown_wait *wait = &all->shown_waits[i];
        int64_t us = now_us - wait->begun_us;
        if (is_shown(wait))
            histogram_add(&all->options.metrics->say_to_shown, us);
        else if (us < LATEST_US) {
            all->shown_waits[kept++] = *wait;
            continue;
        }
        forget(wait);
    }
    all->shown_count = kept;
}

void session_forget_shown(struct sessions *all)
{
    while (all->shown_count > 0)
        forget(&all->shown_waits[--all->shown_count]);
}
