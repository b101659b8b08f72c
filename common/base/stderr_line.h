/* stderr_line: a line on standard error that does not wait for its reader for long. Whoever says
 * something there still has to end, to pass on a signal, or to abort. */
#ifndef YUKIZURI_BASE_STDERR_LINE_H
#define YUKIZURI_BASE_STDERR_LINE_H

/* Writes "yukizuri: ", what printf(3) would print, and a newline, in one write(2) of at most
 * PIPE_BUF bytes: the rest is cut off. When nobody takes it within a second, it is dropped. Keeps
 * errno. */
void stderr_line_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
