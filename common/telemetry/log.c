#include "telemetry/log.h"

#include "base/memory.h"
#include "base/text.h"
#include "telemetry/log_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct log {
    struct log_writer *writer; /* NULL: off */
    char *gateway;
    struct text line;
    uint64_t dropped;
    uint64_t unreported; /* of these: no line says yet that they are missing */
};

static const char *const level_names[] = {"info", "warn", "error"};

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

static void add_ltsv(struct text *line, const char *value)
{
    static const char named[] = "\tt\nn\rr\\\\";
    const uint8_t *at = (const uint8_t *)value;
    size_t control;
    for (; *at != '\0'; at += control > 0 ? control : 1) {
        const char *name;
        control = control_len(at);
        if (control == 0 && *at != '\\')
            text_add(line, (const char *)at, 1);
        else if ((name = strchr(named, *at)) != NULL)
            text_add(line, (const char[]){'\\', name[1]}, 2);
        else
            add_hex(line, at, control);
    }
}

static void add_value(struct text *line, const char *label, const char *value)
{
    if (value == NULL)
        return;
    text_print(line, "\t%s:", label);
    add_ltsv(line, value);
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

static void compose(struct log *log, const struct log_line *line)
{
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
    for (const char *const *at = line->more; at != NULL && *at != NULL; at += 2)
        add_value(&log->line, at[0], at[1]);
    text_add_string(&log->line, "\n");
}

static void compose_dropped(struct log *log)
{
    char message[96];
    snprintf(message, sizeof message,
             "%" PRIu64 " lines are missing here: the log was written faster than taken",
             log->unreported);
    compose(log,
            &(struct log_line){.level = LOG_LEVEL_WARN, .kind = "log-dropped", .message = message});
}

/* Returns whether a line that is written next is in its place. */
static bool report_dropped(struct log *log)
{
    if (log->unreported == 0)
        return true;
    compose_dropped(log);
    if (!log_writer_add(log->writer, log->line.data, log->line.len))
        return false;
    log->unreported = 0;
    return true;
}

struct log *log_open(const char *path, bool enabled, const char *gateway)
{
    struct log_writer *writer = enabled ? log_writer_open(path) : NULL;
    if (enabled && writer == NULL)
        return NULL;
    struct log *log = memory_new(sizeof *log);
    log->writer = writer;
    log->gateway = memory_copy_string(gateway);
    return log;
}

void log_close(struct log *log)
{
    if (log == NULL)
        return;
    text_clear(&log->line);
    if (log->unreported > 0)
        compose_dropped(log);
    log_writer_close(log->writer, log->line.data, log->line.len);
    free(log->gateway);
    text_done(&log->line);
    free(log);
}

void log_reopen(struct log *log)
{
    if (log->writer != NULL)
        log_writer_reopen(log->writer);
}

void log_write(struct log *log, const struct log_line *line)
{
    if (log == NULL || log->writer == NULL)
        return;
    bool in_place = report_dropped(log);
    if (in_place)
        compose(log, line);
    if (in_place && log_writer_add(log->writer, log->line.data, log->line.len))
        return;
    log->dropped++;
    log->unreported++;
}

void log_tick(struct log *log)
{
    if (log == NULL || log->writer == NULL)
        return;
    int error = log_writer_take_error(log->writer);
    log_writer_push(log->writer);
    report_dropped(log);
    if (error != 0)
        log_write(log, &(struct log_line){
                           .level = LOG_LEVEL_ERROR,
                           .kind = "log-file",
                           .message = "log-file could not be opened anew; the old file is kept, "
                                      "and SIGHUP tries again",
                           .err = strerror(error)});
}

uint64_t log_dropped(const struct log *log)
{
    return log == NULL ? 0 : log->dropped;
}
