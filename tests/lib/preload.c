/* Loaded into a gateway by LD_PRELOAD, to have it do what no gateway does:
 *
 *   FORBIDDEN_CALL=FIFO   a thread makes the system call whose name is written to the FIFO
 *   NO_SECCOMP=1          the kernel has no seccomp */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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
