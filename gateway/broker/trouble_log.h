/* trouble_log: a trouble in the log: a line when it begins, once a minute at most, and a line when
 * it is over. A trouble whose beginning is not in the log has no end there either. */
#ifndef YUKIZURI_BROKER_TROUBLE_LOG_H
#define YUKIZURI_BROKER_TROUBLE_LOG_H

#include "telemetry/log.h"

#include <stdbool.h>
#include <stdint.h>

struct trouble_log {
    struct log *log;
    struct log_line begins,
        ends;          /* `err` of the first one is the reason; what they name is static */
    bool logged;       /* that there is one */
    int64_t logged_ms; /* when that last was; 0: never */
};

/* There is one, for this reason. To be called as often as that is seen. */
void trouble_log_note(struct trouble_log *trouble, const char *why);

/* There is none. The same. */
void trouble_log_note_over(struct trouble_log *trouble);

#endif
