#include "history/replay_window.h"

#include "base/memory.h"
#include "history/message_count.h"

#include <stdlib.h>

struct past {
    struct tally *tally; /* outlives the log */
    uint64_t floor;      /* every event after this one is in the log, but for the hole */
    uint64_t start;      /* position in the log from which numbers grow */
    struct past_hole hole;
};

struct past *past_new(void)
{
    struct past *past = memory_new(sizeof *past);
    past->tally = tally_new();
    return past;
}

void past_free(struct past *past)
{
    if (past == NULL)
        return;
    tally_free(past->tally);
    free(past);
}

void past_begin(struct past *past, uint64_t seq, uint64_t position)
{
    past->floor = seq;
    past->start = position;
    past->hole = (struct past_hole){.after = seq, .seq = seq, .position = position};
    tally_begin(past->tally, seq);
}

void past_fork(struct past *past, uint64_t seq, uint64_t position)
{
    tally_rewind(past->tally, seq);
    if (past->floor >= seq) {
        past->floor = seq;
        past->start = position;
    }
    if (past->hole.after >= seq)
        past->hole = (struct past_hole){.after = seq, .seq = seq, .position = position};
    else if (past->hole.seq > seq)
        past->hole.seq = seq;
}

void past_note(struct past *past, uint64_t seq, bool message)
{
    tally_note(past->tally, seq, message);
}

bool past_forget(struct past *past, uint64_t seq, uint64_t position)
{
    if (position < past->start || seq <= past->floor)
        return false;
    past->floor = seq;
    return true;
}

void past_skip(struct past *past, const struct past_hole *hole)
{
    if (past->hole.seq > past->floor) {
        past->floor = past->hole.seq;
        past->start = past->hole.position;
    }
    past->hole = *hole;
    tally_skip(past->tally, hole->seq, hole->messages);
}

uint64_t past_missed(const struct past *past, uint64_t since)
{
    uint64_t from = since > past->floor ? since : past->floor;
    uint64_t in_hole = from > past->hole.after ? from : past->hole.after;
    return tally_between(past->tally, since, past->floor) +
           tally_between(past->tally, in_hole, past->hole.seq);
}

uint64_t past_messages(const struct past *past, uint64_t since, uint64_t upto)
{
    return tally_between(past->tally, since, upto);
}

uint64_t past_start(const struct past *past)
{
    return past->start;
}
