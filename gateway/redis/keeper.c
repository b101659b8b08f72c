#include "redis/keeper.h"

#include "base/clock.h"
#include "base/signals.h"
#include "base/stderr_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEAST_UPTIME_MS = 1000 }; /* of a server, before the next one is started */

bool keeper_note_death(struct keeper_deaths *deaths, int64_t now_ms)
{
    memmove(deaths->at_ms + 1, deaths->at_ms, sizeof deaths->at_ms - sizeof *deaths->at_ms);
    deaths->at_ms[0] = now_ms;
    int64_t first_ms = deaths->at_ms[KEEPER_MOST_DEATHS - 1];
    return first_ms != 0 && now_ms - first_ms <= KEEPER_SPAN_MS;
}

void keeper_remove_files(const struct keeper *keeper)
{
    unlink(keeper->socket);
    rmdir(keeper->directory);
}

/* In the server's process; does not return. It dies with the keeper: the signal is asked for first,
 * and then it is looked whether the keeper was there until then. */
static void run_server(const struct keeper *keeper, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    signals_reset();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", keeper->socket,
           "--unixsocketperm", "700", "--save", "", "--appendonly", "no",
           "--slowlog-log-slower-than", "-1", "--dir", keeper->directory, "--daemonize", "no",
           (char *)NULL);
    _exit(127);
}

static pid_t start_server(const struct keeper *keeper)
{
    pid_t own = getpid();
    unlink(keeper->socket); /* of the one that died: nobody shall try to connect to it */
    pid_t server = fork();
    if (server == 0)
        run_server(keeper, own);
    return server;
}

/* Waits until the gateway is gone, a child has ended, or the time is over; -1 is for ever. Returns
 * whether the gateway is there. */
static bool wait_for_news(const struct keeper *keeper, int children, int timeout_ms)
{
    struct pollfd waited[] = {{.fd = keeper->lifeline, .events = POLLIN},
                              {.fd = children, .events = POLLIN}};
    struct signalfd_siginfo child;
    if (poll(waited, 2, timeout_ms) < 0)
        return errno == EINTR;
    if (waited[1].revents != 0 && read(children, &child, sizeof child) < 0)
        return false;
    return waited[0].revents == 0;
}

/* Returns whether the gateway is still there, as the server has ended. */
static bool await_death(const struct keeper *keeper, pid_t server, int children, int *status)
{
    if (server < 0) { /* no process could be made: it counts as one that died at once */
        *status = SIGKILL;
        return true;
    }
    while (waitpid(server, status, WNOHANG) != server)
        if (!wait_for_news(keeper, children, -1)) {
            kill(server, SIGKILL); /* nothing of it is worth saving */
            waitpid(server, NULL, 0);
            return false;
        }
    return true;
}

/* Returns whether there shall be another one. */
static bool report_death(struct keeper *keeper, int status)
{
    const struct keeper_news news = {.at_ms = clock_monotonic_ms(), .status = status};
    bool too_many = keeper_note_death(&keeper->deaths, news.at_ms);
    ssize_t written = write(keeper->lifeline, &news, sizeof news);
    (void)written; /* it fails when nobody has read for long, or does not exist any more */
    return !too_many;
}

static bool pause_after(const struct keeper *keeper, int children, int64_t started_ms)
{
    int64_t left_ms = started_ms + LEAST_UPTIME_MS - clock_monotonic_ms();
    while (left_ms > 0 && wait_for_news(keeper, children, (int)left_ms))
        left_ms = started_ms + LEAST_UPTIME_MS - clock_monotonic_ms();
    return left_ms <= 0;
}

static void close_others(const struct keeper *keeper)
{
    if (keeper->lifeline > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)keeper->lifeline - 1, 0);
    close_range((unsigned)keeper->lifeline + 1, ~0U, 0);
}

void keeper_ignore_signals(void)
{
    setpgid(0, 0);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    signals_unblock();
}

/* Returns where the end of a child shows. */
static int take_signals(void)
{
    sigset_t children;
    keeper_ignore_signals();
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_SETMASK, &children, NULL);
    return signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

void keeper_run(struct keeper *keeper)
{
    char error[128];
    close_others(keeper);
    int children = take_signals();
    bool given_up = false;
    bool wanted = children >= 0;
    if (user_become(&keeper->owner, error, sizeof error) != 0) {
        stderr_line_print("the private Redis: %s", error);
        wanted = false;
        given_up = true;
    }
    while (wanted) {
        int status;
        int64_t started_ms = clock_monotonic_ms();
        wanted = await_death(keeper, start_server(keeper), children, &status);
        if (wanted)
            given_up = !report_death(keeper, status);
        wanted = wanted && !given_up && pause_after(keeper, children, started_ms);
    }
    keeper_remove_files(keeper);
    _exit(given_up ? KEEPER_GAVE_UP : 0);
}
