#include "base/service_notify.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATUS_BYTES = 256, US_A_MS = 1000 };

struct service_notify {
    int fd; /* -1: nobody is to be told */
    bool ready, stopping;
    char status[STATUS_BYTES];
    int64_t every_ms; /* 0: there is no watchdog */
    int64_t fed_ms;
};

/* A path, or with @ before it a name in Linux' abstract namespace. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return -1;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A third of what the manager waits: one that is dropped or late does no harm. */
static int64_t watchdog_every_ms(void)
{
    const char *span = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (span == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    int64_t ms = strtoll(span, NULL, 10) / US_A_MS / 3;
    return ms > 0 ? ms : 0;
}

struct service_notify *service_notify_new(void)
{
    struct service_notify *notify = memory_new(sizeof *notify);
    const char *path = getenv("NOTIFY_SOCKET");
    notify->fd = path == NULL ? -1 : connect_to(path);
    notify->every_ms = notify->fd < 0 ? 0 : watchdog_every_ms();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return notify;
}

void service_notify_free(struct service_notify *notify)
{
    if (notify == NULL)
        return;
    if (notify->fd >= 0)
        close(notify->fd);
    free(notify);
}

static void tell(const struct service_notify *notify, const char *words)
{
    if (notify->fd >= 0)
        send(notify->fd, words, strlen(words), MSG_NOSIGNAL);
}

void service_notify_ready(struct service_notify *notify)
{
    if (notify == NULL || notify->ready)
        return;
    notify->ready = true;
    tell(notify, "READY=1");
}

void service_notify_stopping(struct service_notify *notify)
{
    if (notify == NULL || notify->stopping)
        return;
    notify->stopping = true;
    tell(notify, "STOPPING=1");
}

void service_notify_status(struct service_notify *notify, const char *line)
{
    char words[STATUS_BYTES + sizeof "STATUS="];
    if (notify == NULL || strncmp(notify->status, line, sizeof notify->status - 1) == 0)
        return;
    snprintf(notify->status, sizeof notify->status, "%s", line);
    snprintf(words, sizeof words, "STATUS=%s", notify->status);
    tell(notify, words);
}

void service_notify_tick(struct service_notify *notify, int64_t now_ms)
{
    if (notify == NULL || notify->every_ms == 0 || now_ms - notify->fed_ms < notify->every_ms)
        return;
    notify->fed_ms = now_ms;
    tell(notify, "WATCHDOG=1");
}
