#include "room/presence_line.h"

#include "base/clock.h"
#include "room/internal.h"

#include <event2/event.h>

enum {
    SHORTEST_US = 100000, /* after a line, further ones are batched for so long, */
    MEMBER_US = 100,      /* and so much for each who gets it, */
    LONGEST_US = 2000000, /* at most so long; */
    FULL_US = 1000000,    /* but so long, when they are more than a line can name */
};

static void wait_us(struct room *room, int64_t us)
{
    const struct timeval window = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    evtimer_add(room->presence.window, &window);
}

/* How long the next line waits when there is one now. Each goes to everybody in the room: in a
 * burst of people, lines would take all of a gateway's time. */
static int64_t find_window_us(const struct room *room)
{
    int64_t us = (int64_t)subscribers_count(room->subscribers) * MEMBER_US;
    return us < SHORTEST_US ? SHORTEST_US : us > LONGEST_US ? LONGEST_US : us;
}

void presence_line_flush(struct room *room)
{
    struct text json = TEXT_EMPTY;
    if (!presence_batch_is_open(room->presence.batch))
        return;
    room->presence.flushed_us = clock_monotonic_us();
    wait_us(room, find_window_us(room));
    presence_batch_write(room->presence.batch, &json);
    presence_batch_clear(room->presence.batch);
    subscribers_append(room->subscribers, frame_new_text(json.data, json.len),
                       (struct room_log_mark){room->seq, clock_monotonic_ms(), false}, false);
    text_done(&json);
}

static void on_window(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct room *room = arg;
    metrics_begin_iteration(room->rooms->commands->metrics);
    int64_t left_us = room->presence.flushed_us + FULL_US - clock_monotonic_us();
    if (left_us > 0 && presence_batch_is_full(room->presence.batch))
        wait_us(room, left_us);
    else
        presence_line_flush(room);
}

void presence_line_add(struct room *room, const struct room_event *event)
{
    presence_batch_add(room->presence.batch, event);
    if (!evtimer_pending(room->presence.window, NULL))
        presence_line_flush(room);
}

void presence_line_open(struct room *room)
{
    room->presence.batch = presence_batch_new();
    room->presence.window = evtimer_new(room->rooms->options.base, on_window, room);
}

void presence_line_close(struct room *room)
{
    event_free(room->presence.window);
    presence_batch_free(room->presence.batch);
}
