#include "history/replay_window.h"

#include "base/memory.h"
#include "history/message_count.h"

#include <stdlib.h>

struct replay_window {
    struct message_count *numbers; /* longer than the log */
    uint64_t floor;                /* every event after this one is in the log, but for the hole */
    uint64_t start;                /* position in the log from which numbers grow */
    struct replay_hole hole;
};

struct replay_window *replay_window_new(void)
{
    struct replay_window *window = memory_new(sizeof *window);
    window->numbers = message_count_new();
    return window;
}

void replay_window_free(struct replay_window *window)
{
    if (window == NULL)
        return;
    message_count_free(window->numbers);
    free(window);
}

void replay_window_begin(struct replay_window *window, uint64_t seq, uint64_t position)
{
    window->floor = seq;
    window->start = position;
    window->hole = (struct replay_hole){.after = seq, .seq = seq, .position = position};
    message_count_begin(window->numbers, seq);
}

void replay_window_begin_silent(struct replay_window *window, uint64_t seq, uint64_t position)
{
    replay_window_begin(window, seq, position);
    message_count_begin(window->numbers, 0);
    message_count_skip(window->numbers, seq, 0);
}

void replay_window_fork(struct replay_window *window, uint64_t seq, uint64_t position)
{
    message_count_rewind(window->numbers, seq);
    if (window->floor >= seq) {
        window->floor = seq;
        window->start = position;
    }
    if (window->hole.after >= seq)
        window->hole = (struct replay_hole){.after = seq, .seq = seq, .position = position};
    else if (window->hole.seq > seq)
        window->hole.seq = seq;
}

void replay_window_note(struct replay_window *window, uint64_t seq, bool message)
{
    message_count_note(window->numbers, seq, message);
}

bool replay_window_forget(struct replay_window *window, uint64_t seq, uint64_t position)
{
    if (position < window->start || seq <= window->floor)
        return false;
    window->floor = seq;
    return true;
}

void replay_window_skip(struct replay_window *window, const struct replay_hole *hole)
{
    if (window->hole.seq > window->floor) {
        window->floor = window->hole.seq;
        window->start = window->hole.position;
    }
    window->hole = *hole;
    message_count_skip(window->numbers, hole->seq, hole->messages);
}

uint64_t replay_window_missed(const struct replay_window *window, uint64_t since)
{
    uint64_t from = since > window->floor ? since : window->floor;
    uint64_t in_hole = from > window->hole.after ? from : window->hole.after;
    return message_count_between(window->numbers, since, window->floor) +
           message_count_between(window->numbers, in_hole, window->hole.seq);
}

uint64_t replay_window_messages(const struct replay_window *window, uint64_t since, uint64_t upto)
{
    return message_count_between(window->numbers, since, upto);
}

uint64_t replay_window_start(const struct replay_window *window)
{
    return window->start;
}
