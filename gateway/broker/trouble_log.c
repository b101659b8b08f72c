#include "broker/trouble_log.h"

#include "base/clock.h"

enum { EVERY_MS = 60000 };

void trouble_log_note(struct trouble_log *trouble, const char *why)
{
    int64_t now_ms = clock_monotonic_ms();
    bool lately = trouble->logged_ms != 0 && now_ms - trouble->logged_ms < EVERY_MS;
    if (trouble->logged || lately)
        return;
    struct log_line line = trouble->begins;
    line.err = why;
    log_write(trouble->log, &line);
    trouble->logged = true;
    trouble->logged_ms = now_ms;
}

void trouble_log_note_over(struct trouble_log *trouble)
{
    if (trouble->logged)
        log_write(trouble->log, &trouble->ends);
    trouble->logged = false;
}
