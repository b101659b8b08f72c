#include "redis/spawner.h"

#include "base/signals.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPLY_MS = 1000 };

/* --- In the spawner --- */

/* clone(2) with the order of arguments that this machine has; the parent is the spawner's own. */
static pid_t fork_sibling(void)
{
    const unsigned long flags = CLONE_PARENT | SIGCHLD;
#ifdef __s390__
    return (pid_t)syscall(SYS_clone, NULL, flags, NULL, NULL, 0UL);
#else
    return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, 0UL);
#endif
}

/* So that the lifeline of its keepers ends with the gateway. */
static void close_others(int one, int other)
{
    int low = one < other ? one : other;
    int high = one < other ? other : one;
    if (low > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)low - 1, 0);
    if (high > low + 1)
        close_range((unsigned)low + 1, (unsigned)high - 1, 0);
    close_range((unsigned)high + 1, ~0U, 0);
}

static void serve(struct keeper job, int requests) __attribute__((noreturn));

static void serve(struct keeper job, int requests)
{
    close_others(job.lifeline, requests);
    keeper_ignore_signals();
    while (recv(requests, &job.deaths, sizeof job.deaths, 0) == (ssize_t)sizeof job.deaths) {
        pid_t pid = fork_sibling();
        if (pid == 0)
            keeper_run(&job);
        if (send(requests, &pid, sizeof pid, MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

/* --- In the gateway --- */

int spawner_start(struct spawner *spawner, const struct keeper *job)
{
    int ends[2];
    sigset_t before;
    *spawner = (struct spawner){0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    signals_block(&before);
    pid_t pid = fork();
    if (pid == 0)
        serve(*job, ends[1]);
    signals_set_mask(&before);
    int saved = errno;
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    errno = saved;
    if (pid < 0)
        return -1;
    *spawner = (struct spawner){.pid = pid, .requests = ends[0]};
    return 0;
}

pid_t spawner_spawn(const struct spawner *spawner, const struct keeper_deaths *deaths)
{
    pid_t pid;
    struct pollfd reply = {.fd = spawner->requests, .events = POLLIN};
    if (send(spawner->requests, deaths, sizeof *deaths, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return -1;
    errno = ETIMEDOUT;
    if (poll(&reply, 1, REPLY_MS) <= 0)
        return -1;
    errno = ECHILD;
    if (recv(spawner->requests, &pid, sizeof pid, MSG_DONTWAIT) != (ssize_t)sizeof pid)
        return -1;
    return pid;
}

/* Killed: one that was stopped would not see that its socket has closed. */
void spawner_stop(struct spawner *spawner)
{
    if (spawner->pid == 0)
        return;
    close(spawner->requests);
    kill(spawner->pid, SIGKILL);
    waitpid(spawner->pid, NULL, 0);
    spawner->pid = 0;
}
