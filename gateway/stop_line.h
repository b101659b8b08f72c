/* stop_line: what a gateway says of itself when it ends, in one line of the log: why, what became
 * of whoever was connected, and how long that took. */
#ifndef YUKIZURI_STOP_LINE_H
#define YUKIZURI_STOP_LINE_H

#include "session/drain.h"
#include "telemetry/log.h"

/* Zero when made. */
struct stop_line {
    const char *why;
    int64_t since_ms;
};

/* It begins to end, because of `why` (static). Only the first reason counts. */
void stop_line_begin(struct stop_line *line, const char *why);

/* It has ended; to be called while those who are left are still connected. */
void stop_line_tell(const struct stop_line *line, struct log *log, struct sessions *sessions);

#endif
