/* Loaded into a gateway by LD_PRELOAD, to have it do what no gateway does:
 *
 *   FORBIDDEN_CALL=FIFO   a thread makes a system call that the sandbox forbids, once something was
 * written to the FIFO NO_SECCOMP=1          the kernel has no seccomp */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int fifo;

static void *wait_and_call(void *arg)
{
    char byte;
    if (read(fifo, &byte, 1) == 1 && sethostname("yukizuri", 8) != 0)
        return arg;
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
