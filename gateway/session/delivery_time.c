#include "session/delivery_time.h"

#include "base/clock.h"
#include "session/internal.h"

enum { LATEST_US = 30000000 /* whoever it was for has gone, or the room has another epoch */ };

static void end_wait(struct delivery_wait *wait)
{
    rooms_release(wait->entry->room);
}

void session_await_delivery(struct session *session, uint64_t seq, int64_t begun_us)
{
    struct sessions *all = session->all;
    if (begun_us == 0 || all->delivery_wait_count == DELIVERY_WAITS)
        return; /* only some are measured then */
    struct room_entry *entry = session->entry;
    rooms_hold(entry->room);
    all->delivery_wait[all->delivery_wait_count++] = (struct delivery_wait){entry, seq, begun_us};
}

static bool is_delivered(const struct delivery_wait *wait)
{
    return room_is_open(wait->entry->room) && room_delivered_seq(wait->entry->room) >= wait->seq;
}

void sessions_end_iteration(struct sessions *all)
{
    size_t kept = 0;
    if (all->delivery_wait_count == 0)
        return;
    int64_t now_us = clock_monotonic_us();
    for (size_t i = 0; i < all->delivery_wait_count; i++) {
        struct delivery_wait *wait = &all->delivery_wait[i];
        int64_t us = now_us - wait->begun_us;
        if (is_delivered(wait))
            histogram_add(&all->options.metrics->say_to_shown, us);
        else if (us < LATEST_US) {
            all->delivery_wait[kept++] = *wait;
            continue;
        }
        end_wait(wait);
    }
    all->delivery_wait_count = kept;
}

void session_forget_deliveries(struct sessions *all)
{
    while (all->delivery_wait_count > 0)
        end_wait(&all->delivery_wait[--all->delivery_wait_count]);
}
