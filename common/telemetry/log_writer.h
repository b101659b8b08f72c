/* log_writer: whole lines on their way to a file, a pipe, a terminal or a socket, any of which may
 * stand still: a disk that hangs, a reader that does not read, Ctrl-S. Only a thread of the
 * writer's own waits for them. It gets the lines through a pipe, which bounds what waits
 * (LOG_WRITER_QUEUE_BYTES), and shares nothing else with the caller but a few flags. The
 * descriptor's flags are left alone: other processes may share them.
 *
 * The thread writes at most PIPE_BUF bytes at once, which begin and end with a line, so lines of
 * several processes on one pipe do not mix (pipe(7)); a line longer than that may. What cannot be
 * written, on a full disk or without a reader, is tried again until it can. */
#ifndef YUKIZURI_TELEMETRY_LOG_WRITER_H
#define YUKIZURI_TELEMETRY_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct log_writer;

/* As much as anybody may make a pipe (/proc/sys/fs/pipe-max-size); minutes of a busy chat. */
enum { LOG_WRITER_QUEUE_BYTES = 1 << 20, LOG_WRITER_END_MS = 1000 };

/* Opens `path` (copied) to be appended to; NULL is standard output. A FIFO may have no reader yet.
 * NULL with errno when that fails, or when there can be no thread. log_writer_close frees it. */
struct log_writer *log_writer_open(const char *path);

/* Takes the line, which ends with a newline, or refuses it whole. When there was no room once, it
 * refuses until three quarters of the queue are free: what is missing is then one piece. Never
 * waits. */
bool log_writer_add(struct log_writer *writer, const char *line, size_t len);

/* To be called now and then: hands on what the queue has not taken of a long line. */
void log_writer_push(struct log_writer *writer);

/* The thread opens the path again, for rotation; it keeps the old file when that fails. Does
 * nothing for standard output. */
void log_writer_reopen(struct log_writer *writer);

/* The errno of a reopening that failed since this was asked for the last time; or 0. */
int log_writer_take_error(struct log_writer *writer);

/* Adds the `len` bytes at `last`, even when the queue is full, and writes what can be written
 * within LOG_WRITER_END_MS; the rest is lost. NULL is fine. */
void log_writer_close(struct log_writer *writer, const char *last, size_t len);

#endif
