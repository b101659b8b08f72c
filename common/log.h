/* log: LTSV lines (http://ltsv.org); the only writer of the log. A line is one write(2), so lines
 * of several processes do not mix. Values are escaped: tab, newline and other control characters
 * never reach the file as they are, so nobody can forge a line. */
#ifndef YUKIZURI_LOG_H
#define YUKIZURI_LOG_H

#include <stdbool.h>

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
    const char *room;
    const char *id;
};

/* Opens the log: `path` NULL is standard output. With `enabled` false every line is dropped. NULL
 * when the file cannot be opened (errno tells). `gateway` is copied. */
struct log *log_open(const char *path, bool enabled, const char *gateway);
void log_close(struct log *log);

/* Opens the path again, for rotation; keeps the old file when that fails. */
int log_reopen(struct log *log);

/* Writes one line; does nothing when `log` is NULL. */
void log_write(struct log *log, const struct log_line *line);

#endif
