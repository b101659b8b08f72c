#include "stop_line.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

void stop_line_begin(struct stop_line *line, const char *why)
{
    if (line->why != NULL)
        return;
    line->why = why;
    line->since_ms = clock_monotonic_ms();
}

void stop_line_tell(const struct stop_line *line, struct log *log, struct sessions *sessions)
{
    char message[200] = "";
    struct sessions_moves moves = sessions_moves(sessions);
    uint64_t cut = moves.closed + moves.left;
    uint64_t moved = moves.asked > cut ? moves.asked - cut : 0;
    double seconds = (double)(clock_monotonic_ms() - line->since_ms) / 1e3;
    if (line->why != NULL)
        snprintf(message, sizeof message,
                 "%s: %" PRIu64 " connections moved by themselves, %" PRIu64
                 " had to be cut, in %.1f s",
                 line->why, moved, cut, seconds);
    log_write(log,
              &(struct log_line){.kind = "stop", .message = line->why == NULL ? NULL : message});
}
