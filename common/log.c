#include "log.h"

#include "memory.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct log {
    int fd;
    bool enabled;
    char *path;
    char *gateway;
    struct text line;
};

static const char *const level_names[] = {"info", "warn", "error"};

static int open_path(const char *path)
{
    if (path == NULL)
        return dup(STDOUT_FILENO);
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

struct log *log_open(const char *path, bool enabled, const char *gateway)
{
    int fd = open_path(path);
    if (fd < 0)
        return NULL;
    struct log *log = memory_new(sizeof *log);
    log->fd = fd;
    log->enabled = enabled;
    log->path = memory_copy_string(path);
    log->gateway = memory_copy_string(gateway);
    return log;
}

void log_close(struct log *log)
{
    if (log == NULL)
        return;
    close(log->fd);
    free(log->path);
    free(log->gateway);
    text_done(&log->line);
    free(log);
}

int log_reopen(struct log *log)
{
    if (log->path == NULL)
        return 0;
    int fd = open_path(log->path);
    if (fd < 0)
        return -1;
    close(log->fd);
    log->fd = fd;
    return 0;
}

/* How many bytes at `at` are one control character: C0, DEL, or C1 as UTF-8 (C2 80 to C2 9F). */
static size_t control_len(const uint8_t *at)
{
    if (at[0] < ' ' || at[0] == 0x7f)
        return 1;
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f ? 2 : 0;
}

static void add_hex(struct text *line, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text_print(line, "\\x%02x", bytes[i]);
}

static void add_escaped(struct text *line, const char *value)
{
    const uint8_t *at = (const uint8_t *)value;
    size_t control;
    for (; *at != '\0'; at += control > 0 ? control : 1) {
        control = control_len(at);
        if (*at == '\t')
            text_add_string(line, "\\t");
        else if (*at == '\n')
            text_add_string(line, "\\n");
        else if (*at == '\r')
            text_add_string(line, "\\r");
        else if (*at == '\\')
            text_add_string(line, "\\\\");
        else if (control > 0)
            add_hex(line, at, control);
        else
            text_add(line, (const char *)at, 1);
    }
}

static void add_value(struct text *line, const char *label, const char *value)
{
    if (value == NULL)
        return;
    text_print(line, "\t%s:", label);
    add_escaped(line, value);
}

static void add_time(struct text *line)
{
    struct timespec now;
    struct tm utc;
    char day[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    text_print(line, "time:%s.%03ldZ", day, now.tv_nsec / 1000000);
}

void log_write(struct log *log, const struct log_line *line)
{
    if (log == NULL || !log->enabled)
        return;
    text_clear(&log->line);
    add_time(&log->line);
    add_value(&log->line, "level", level_names[line->level]);
    add_value(&log->line, "kind", line->kind);
    add_value(&log->line, "gateway", log->gateway);
    add_value(&log->line, "room", line->room);
    add_value(&log->line, "id", line->id);
    add_value(&log->line, "username", line->username);
    add_value(&log->line, "remote_addr", line->remote_addr);
    add_value(&log->line, "message", line->message);
    add_value(&log->line, "err", line->err);
    text_add_string(&log->line, "\n");
    size_t done = 0;
    while (done < log->line.len) {
        ssize_t sent = write(log->fd, log->line.data + done, log->line.len - done);
        if (sent < 0 && errno != EINTR)
            return; /* a full disk or a closed pipe must not stop the chat */
        done += sent > 0 ? (size_t)sent : 0;
    }
}
