/* log: LTSV lines (http://ltsv.org); the only writer of the log. Values are escaped: tab, newline
 * and other control characters never reach the file as they are, so nobody can forge a line.
 *
 * Nothing here waits: lines go through a log_writer. When what it writes to stands still, some
 * wait; further ones are dropped whole and counted. A line of the kind "log-dropped" stands where
 * they are missing and says how many. */
#ifndef YUKIZURI_TELEMETRY_LOG_H
#define YUKIZURI_TELEMETRY_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct log;

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* What a line says; NULL fields are left out. */
struct log_line {
    enum log_level level;
    const char *kind; /* a fixed word: "join", "leave", "start", … */
    const char *username;
    const char *remote_addr;
    const char *message;
    const char *err;
    const char *room; /* its name, as in its address: never that of its channel or its keys */
    const char *id;
    /* More labels, each followed by its value, up to a NULL; NULL: none. */
    const char *const *more;
};

/* Opens the log: `path` NULL is standard output. With `enabled` false nothing is
 * opened; every line is dropped, and counts as none. NULL when the file cannot be opened (errno
 * tells). `gateway` is copied. */
struct log *log_open(const char *path, bool enabled, const char *gateway);

/* Writes what waits, for a second at most (LOG_WRITER_END_MS). NULL is fine. */
void log_close(struct log *log);

/* Opens the path again, for rotation. Happens a moment later; when it fails the old file is kept
 * and a line says why. */
void log_reopen(struct log *log);

/* Writes one line; does nothing when `log` is NULL. */
void log_write(struct log *log, const struct log_line *line);

/* To be called once a second: says what is missing, or went wrong, where no line follows. */
void log_tick(struct log *log);

/* So many lines have been dropped in all. */
uint64_t log_dropped(const struct log *log);

#endif
