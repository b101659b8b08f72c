/* log_file: a log of the program in a file of its own under /tmp, and what stands in it. One at a
 * time. */
#ifndef YUKIZURI_UNIT_LOG_FILE_H
#define YUKIZURI_UNIT_LOG_FILE_H

#include "telemetry/log.h"

#include <stddef.h>

/* To be closed with log_close: lines are written by a thread. */
struct log *log_file_open(void);

/* How many lines have all of this in them, once the log is closed. */
size_t log_file_count(const char *what);

void log_file_remove(void);

#endif
