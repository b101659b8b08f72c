/* Loaded into a gateway by LD_PRELOAD, to have it do what no gateway does:
 *
 *   FORBIDDEN_CALL=FIFO   a thread makes the system call whose name is written to the FIFO
 *   NO_SECCOMP=1          the kernel has no seccomp
 *   NO_MEMORY=FILE        while it is there, the kernel has no memory for the call that it names
 *                         (accept4, epoll_ctl) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where it is allowed, each fails, or changes nothing. */
static const struct {
    const char *name;
    long number, first, second;
} calls[] = {
    {"clone", SYS_clone, CLONE_SIGHAND, 0}, /* a process, and invalid without CLONE_VM */
    {"execve", SYS_execve, 0, 0},           {"io_uring_setup", SYS_io_uring_setup, 0, 0},
    {"ioctl", SYS_ioctl, -1, TIOCSTI},      {"sethostname", SYS_sethostname, 0, -1},
    {"setresuid", SYS_setresuid, -1, -1},   {"socket", SYS_socket, AF_PACKET, -1},
};

static int fifo;

static void *wait_and_call(void *arg)
{
    char name[32] = "";
    if (read(fifo, name, sizeof name - 1) <= 0)
        return arg;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(name, calls[i].name) == 0)
            syscall(calls[i].number, calls[i].first, calls[i].second, -1L, 0L, 0L);
    return NULL;
}

__attribute__((constructor)) static void start(void)
{
    pthread_t thread;
    const char *path = getenv("FORBIDDEN_CALL");
    if (path == NULL)
        return;
    fifo = open(path, O_RDWR | O_CLOEXEC);
    pthread_create(&thread, NULL, wait_and_call, NULL);
}

int prctl(int option, ...)
{
    va_list rest;
    va_start(rest, option);
    unsigned long a = va_arg(rest, unsigned long), b = va_arg(rest, unsigned long);
    unsigned long c = va_arg(rest, unsigned long), d = va_arg(rest, unsigned long);
    va_end(rest);
    if (option == PR_GET_SECCOMP && getenv("NO_SECCOMP") != NULL) {
        errno = EINVAL;
        return -1;
    }
    int (*next)(int, ...) = (int (*)(int, ...))dlsym(RTLD_NEXT, "prctl");
    return next(option, a, b, c, d);
}

static int has_no_memory(const char *call)
{
    char name[16] = "";
    const char *path = getenv("NO_MEMORY");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t len = read(file, name, sizeof name - 1);
    close(file);
    return len > 0 && strcmp(name, call) == 0;
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    int (*next)(int, struct sockaddr *, socklen_t *, int) =
        (int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4");
    if (!has_no_memory("accept4"))
        return next(fd, address, len, flags);
    errno = ENOMEM;
    return -1;
}

/* For what the poller watches alone: libevent wants no EPOLLRDHUP. */
int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    int (*next)(int, int, int, struct epoll_event *) =
        (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
    int ours = operation == EPOLL_CTL_ADD && (event->events & EPOLLRDHUP) != 0;
    if (!ours || !has_no_memory("epoll_ctl"))
        return next(epoll_fd, operation, fd, event);
    errno = ENOSPC;
    return -1;
}
