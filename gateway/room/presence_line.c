/* Who comes and goes: at once when it is calm, and else as one line for all who came and went
 * within a window. */
#include "room/internal.h"

#include "base/clock.h"
#include "base/cores.h"

#include <event2/event.h>

enum {
    WINDOW_US = 100000,   /* after a line, further ones are gathered so long, */
    CROWD_US = 1000000,   /* or so long, when they are more than a line can name, */
    LONGEST_US = 2000000, /* at most so long, */
    SHARE = 40,           /* until the lines of all rooms took but so much of the time */
};

/* Workers that are more than the cores share their time: the room is on all of them, and a share
 * for each would be all there is. */
void presence_lines_init(struct presence_lines *lines, const struct config *config)
{
    *lines = (struct presence_lines){
        .limit = {.share = pace_share(SHARE, (int64_t)config->workers, cores_allowed()),
                  .longest_us = LONGEST_US},
    };
}

static void wait_us(struct room *room, int64_t us)
{
    const struct timeval window = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    evtimer_add(room->presence.window, &window);
}

/* How long the next line waits when there is one now. Each goes to everybody in the room: were all
 * rooms of a full gateway in a storm of people, lines would take all of its time. */
static int64_t find_window_us(const struct room *room)
{
    struct presence_lines *lines = &room->rooms->lines;
    int64_t us = pace_spend(&lines->pace, &lines->limit, room->presence.shown_us,
                            audience_cost_us(room->audience));
    return us < WINDOW_US ? WINDOW_US : us;
}

void presence_line_show(struct room *room)
{
    struct text json = TEXT_EMPTY;
    if (!gathering_is_open(room->presence.gathered))
        return;
    room->presence.shown_us = clock_monotonic_us();
    wait_us(room, find_window_us(room));
    gathering_write(room->presence.gathered, &json);
    gathering_clear(room->presence.gathered);
    room_append(room, &json, 0);
    text_done(&json);
}

static void on_window(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    struct room *room = arg;
    metrics_begin_turn(room->rooms->commands->metrics);
    int64_t left_us = room->presence.shown_us + CROWD_US - clock_monotonic_us();
    if (left_us > 0 && gathering_is_full(room->presence.gathered))
        wait_us(room, left_us);
    else
        presence_line_show(room);
}

void presence_line_gather(struct room *room, const struct room_event *event)
{
    gathering_add(room->presence.gathered, event);
    if (!evtimer_pending(room->presence.window, NULL))
        presence_line_show(room);
}

void presence_line_open(struct room *room)
{
    room->presence.gathered = gathering_new();
    room->presence.window = evtimer_new(room->rooms->options.base, on_window, room);
}

void presence_line_close(struct room *room)
{
    event_free(room->presence.window);
    gathering_free(room->presence.gathered);
}
