#include "base/stderr_line.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 1000 };

static const char start[] = "yukizuri: ";

/* A pipe that is writable takes PIPE_BUF bytes at once (pipe(7)), unless another process that
 * shares it is faster. */
static void write_line(const char *line, size_t len)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, TIMEOUT_MS) <= 0 || (out.revents & POLLOUT) == 0)
        return;
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* there is nowhere else to say it */
}

void stderr_line_print(const char *format, ...)
{
    int saved = errno;
    char line[PIPE_BUF];
    const size_t head = sizeof start - 1;
    const size_t most = sizeof line - head - 1; /* the newline, where vsnprintf wants its NUL */
    memcpy(line, start, head);
    va_list values;
    va_start(values, format);
    int wanted = vsnprintf(line + head, most, format, values);
    va_end(values);
    size_t len = wanted < 0 ? 0 : (size_t)wanted;
    len = head + (len < most ? len : most - 1);
    line[len++] = '\n';
    write_line(line, len);
    errno = saved;
}
