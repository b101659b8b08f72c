#include "base/service.h"

#include "base/memory.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATUS_BYTES = 256, US_A_MS = 1000, FIRST_SOCKET = 3 /* SD_LISTEN_FDS_START */ };

struct service {
    int fd; /* -1: nobody is to be told */
    struct service_sockets sockets;
    bool ready, stopping;
    char status[STATUS_BYTES];
    int64_t watchdog_ms; /* 0: there is none */
    int64_t fed_ms;
};

/* --- The manager's socket and watchdog --- */

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

static bool is_own_pid(const char *pid)
{
    return strtoll(pid, NULL, 10) == getpid();
}

static int64_t find_watchdog_ms(void)
{
    const char *span = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID"); /* may be left out */
    int64_t ms =
        span == NULL || (pid != NULL && !is_own_pid(pid)) ? 0 : strtoll(span, NULL, 10) / US_A_MS;
    return ms > 0 ? ms : 0;
}

/* --- The listening sockets --- */

static bool is_listening_stream(int fd)
{
    int type = 0;
    int listening = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
        return false;
    len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening == 1;
}

static void make_own(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int take_sockets(struct service_sockets *out, char *error, size_t error_size)
{
    const char *count = getenv("LISTEN_FDS");
    const char *pid = getenv("LISTEN_PID");
    if (count == NULL || pid == NULL || !is_own_pid(pid))
        return 0;
    long number = strtol(count, NULL, 10);
    if (number < 0 || number > SERVICE_SOCKETS) {
        snprintf(error, error_size, "LISTEN_FDS: \"%.32s\" sockets are too many: %d at most", count,
                 SERVICE_SOCKETS);
        return -1;
    }
    for (int fd = FIRST_SOCKET; fd < FIRST_SOCKET + number; fd++) {
        if (!is_listening_stream(fd)) {
            snprintf(error, error_size,
                     "LISTEN_FDS: descriptor %d is not a listening stream socket; a .socket unit "
                     "needs ListenStream= and Accept=no",
                     fd);
            return -1;
        }
        make_own(fd);
        out->fds[out->count++] = fd;
    }
    return 0;
}

/* --- Both --- */

static void forget_variables(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

struct service *service_take(char *error, size_t error_size)
{
    struct service *service = memory_new(sizeof *service);
    service->fd = -1;
    if (take_sockets(&service->sockets, error, error_size) != 0) {
        free(service);
        return NULL;
    }
    const char *path = getenv("NOTIFY_SOCKET");
    service->fd = path == NULL ? -1 : connect_to(path);
    service->watchdog_ms = service->fd < 0 ? 0 : find_watchdog_ms();
    forget_variables();
    return service;
}

struct service *service_of_child(const struct service *parent, int fd)
{
    struct service *service = memory_new(sizeof *service);
    service->fd = fd;
    service->sockets = parent->sockets;
    service->watchdog_ms = parent->watchdog_ms;
    return service;
}

void service_free(struct service *service)
{
    if (service == NULL)
        return;
    if (service->fd >= 0)
        close(service->fd);
    free(service);
}

const struct service_sockets *service_sockets(const struct service *service)
{
    static const struct service_sockets none;
    return service == NULL ? &none : &service->sockets;
}

int64_t service_watchdog_ms(const struct service *service)
{
    return service == NULL ? 0 : service->watchdog_ms;
}

/* --- Telling --- */

static void tell(const struct service *service, const char *words)
{
    if (service->fd >= 0)
        send(service->fd, words, strlen(words), MSG_NOSIGNAL);
}

void service_ready(struct service *service)
{
    if (service == NULL || service->ready)
        return;
    service->ready = true;
    tell(service, "READY=1");
}

void service_stopping(struct service *service)
{
    if (service == NULL || service->stopping)
        return;
    service->stopping = true;
    tell(service, "STOPPING=1");
}

void service_status(struct service *service, const char *line)
{
    char words[STATUS_BYTES + sizeof "STATUS="];
    if (service == NULL || strncmp(service->status, line, sizeof service->status - 1) == 0)
        return;
    snprintf(service->status, sizeof service->status, "%s", line);
    snprintf(words, sizeof words, "STATUS=%s", service->status);
    tell(service, words);
}

/* One that is dropped or late does no harm. */
void service_tick(struct service *service, int64_t now_ms)
{
    if (service == NULL || service->watchdog_ms == 0 ||
        now_ms - service->fed_ms < service->watchdog_ms / 3)
        return;
    service->fed_ms = now_ms;
    tell(service, "WATCHDOG=1");
}
