#include "supervisor.h"

#include "base/clock.h"

#include "base/memory.h"
#include "base/stderr_line.h"
#include "config/gateway_id.h"
#include "http/port_claim.h"
#include "redis/embedded.h"
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESTART_MS = 1000, /* between two starts of a worker, at least */
    START_MS = 5000,   /* a worker that exits with an error so soon cannot start */
};

struct worker {
    pid_t pid; /* 0: not running */
    int fd;    /* what it tells as a service; while it runs */
    bool ready;
    int64_t started_ms, fed_ms;
};

struct supervisor {
    struct config *config;
    struct service *service;
    int (*work)(const struct config *config, struct service *service);
    struct worker *workers;
    size_t count;
    struct embedded_redis *redis; /* NULL: it is none of ours */
    struct port_claim claim;      /* while there is a private Redis */
    sigset_t signals, before;
    int64_t started_ms;
    bool stopping;
    int status;
};

/* --- Workers --- */

/* In a new worker: the others' words are the supervisor's to read. */
static void close_channels(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->workers[i].pid > 0)
            close(supervisor->workers[i].fd);
}

/* In the new process. It ends with the supervisor, even if that is killed. */
static int run_worker(struct supervisor *supervisor, size_t number, pid_t parent, int fd)
{
    char id[GATEWAY_ID_BYTES];
    struct config *config = supervisor->config;
    port_claim_release(&supervisor->claim);
    close_channels(supervisor);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        return 0;
    sigprocmask(SIG_SETMASK, &supervisor->before, NULL);
    snprintf(id, sizeof id, "%s-%zu", config->gateway_id, number + 1);
    free(config->gateway_id);
    config->gateway_id = memory_copy_string(id);
    config->worker_listen.port += (int)number;
    struct service *service = service_of_child(supervisor->service, fd);
    int status = supervisor->work(config, service);
    service_free(service);
    return status;
}

/* Returns true in the worker, which has then done its work. */
static bool start_worker(struct supervisor *supervisor, size_t number)
{
    struct worker *worker = &supervisor->workers[number];
    int channel[2];
    pid_t parent = getpid();
    int64_t now_ms = clock_monotonic_ms();
    *worker = (struct worker){.started_ms = now_ms, .fed_ms = now_ms};
    bool opened = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, channel) == 0;
    pid_t pid = opened ? fork() : -1;
    if (pid == 0) {
        close(channel[0]);
        supervisor->status = run_worker(supervisor, number, parent, channel[1]);
        return true;
    }
    if (pid < 0) /* tried again a second later */
        stderr_line_print("cannot start worker %zu: %s", number + 1, strerror(errno));
    if (opened)
        close(channel[1]);
    if (pid < 0 && opened)
        close(channel[0]);
    if (pid > 0) {
        worker->pid = pid;
        worker->fd = channel[0];
    }
    return false;
}

static void signal_workers(const struct supervisor *supervisor, int signal)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->workers[i].pid > 0)
            kill(supervisor->workers[i].pid, signal);
}

static void stop_workers(struct supervisor *supervisor, int signal)
{
    supervisor->stopping = true;
    service_stopping(supervisor->service);
    signal_workers(supervisor, signal);
}

/* The status to end with because of a worker that ended so; 0: another one may take its place. A
 * worker that exits with an error at the beginning would do so again, and one whose id is another
 * process' at any time. */
static int find_exit_status(const struct supervisor *supervisor, int status)
{
    bool early = clock_monotonic_ms() - supervisor->started_ms < START_MS;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (code == SERVER_ID_TAKEN)
        return 1;
    return early ? code : 0;
}

static void on_worker_ended(struct supervisor *supervisor, size_t number, int status)
{
    struct worker *worker = &supervisor->workers[number];
    int end = find_exit_status(supervisor, status);
    close(worker->fd);
    worker->pid = 0;
    worker->ready = false;
    if (supervisor->stopping)
        return;
    if (end != 0) {
        supervisor->status = end;
        stop_workers(supervisor, SIGTERM);
    } else if (WIFSIGNALED(status)) {
        stderr_line_print("worker %zu was ended by signal %d; another one takes its place",
                          number + 1, WTERMSIG(status));
    }
}

static void reap_workers(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++) {
        int status;
        pid_t pid = supervisor->workers[i].pid;
        if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid)
            on_worker_ended(supervisor, i, status);
    }
}

/* Returns true in a worker. */
static bool start_missing(struct supervisor *supervisor)
{
    int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < supervisor->count && !supervisor->stopping; i++) {
        const struct worker *worker = &supervisor->workers[i];
        bool waited = worker->started_ms == 0 || now_ms - worker->started_ms >= RESTART_MS;
        if (worker->pid == 0 && waited && start_worker(supervisor, i))
            return true;
    }
    return false;
}

static bool all_have_ended(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->workers[i].pid > 0)
            return false;
    return true;
}

/* --- What the service manager hears --- */

static void hear_worker(struct worker *worker, int64_t now_ms)
{
    char words[512];
    ssize_t len;
    while ((len = recv(worker->fd, words, sizeof words - 1, 0)) > 0) {
        words[len] = '\0';
        if (strcmp(words, "READY=1") == 0)
            worker->ready = true;
        else if (strcmp(words, "WATCHDOG=1") == 0)
            worker->fed_ms = now_ms;
    }
}

/* The others and their members stay as they are. */
static void end_if_stuck(const struct supervisor *supervisor, size_t number, int64_t now_ms)
{
    const struct worker *worker = &supervisor->workers[number];
    int64_t watchdog_ms = service_watchdog_ms(supervisor->service);
    if (watchdog_ms == 0 || supervisor->stopping || now_ms - worker->fed_ms < watchdog_ms)
        return;
    stderr_line_print("worker %zu has not answered for %lld s: it is killed", number + 1,
                      (long long)(now_ms - worker->fed_ms) / 1000);
    kill(worker->pid, SIGKILL);
}

static void tell_service(struct supervisor *supervisor)
{
    char line[64];
    size_t ready = 0;
    int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < supervisor->count; i++) {
        struct worker *worker = &supervisor->workers[i];
        if (worker->pid == 0)
            continue;
        hear_worker(worker, now_ms);
        end_if_stuck(supervisor, i, now_ms);
        ready += worker->ready;
    }
    if (ready == supervisor->count)
        service_ready(supervisor->service);
    snprintf(line, sizeof line, "%zu of %zu workers are ready", ready, supervisor->count);
    service_status(supervisor->service, line);
    service_tick(supervisor->service, now_ms);
}

/* --- The loop --- */

static void handle_signal(struct supervisor *supervisor, int signal)
{
    if (signal == SIGTERM || signal == SIGINT)
        stop_workers(supervisor, signal);
    else if (signal == SIGHUP || signal == SIGUSR1)
        signal_workers(supervisor, signal);
    reap_workers(supervisor);
}

/* Without it no message can pass: the workers end at once. */
static void check_shared_redis(struct supervisor *supervisor)
{
    char what[256];
    enum embedded_redis_news news = embedded_redis_check(supervisor->redis, what, sizeof what);
    if (news == EMBEDDED_REDIS_QUIET || supervisor->stopping)
        return;
    stderr_line_print("%s", what);
    if (news == EMBEDDED_REDIS_RESTARTED)
        return;
    supervisor->status = 1;
    stop_workers(supervisor, SIGINT);
}

/* Returns true in a worker. */
static bool supervise(struct supervisor *supervisor)
{
    static const struct timespec second = {1, 0};
    while (!supervisor->stopping || !all_have_ended(supervisor)) {
        if (start_missing(supervisor))
            return true;
        tell_service(supervisor);
        handle_signal(supervisor, sigtimedwait(&supervisor->signals, NULL, &second));
        check_shared_redis(supervisor);
    }
    return false;
}

static struct embedded_redis *start_redis(struct supervisor *supervisor)
{
    char error[512];
    struct config *config = supervisor->config;
    struct embedded_redis *redis = NULL;
    const struct embedded_redis_options options = {.owner = &config->run_as};
    if (port_claim_acquire(config, service_sockets(supervisor->service), &supervisor->claim, error,
                           sizeof error) == 0)
        redis = embedded_redis_start(&config->redis_url, &options, error, sizeof error);
    if (redis == NULL)
        stderr_line_print("%s", error);
    return redis;
}

/* Those that are handled are blocked since signals_begin. */
static void block_signals(struct supervisor *supervisor)
{
    sigprocmask(SIG_BLOCK, NULL, &supervisor->before);
    supervisor->signals = supervisor->before;
    sigaddset(&supervisor->signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &supervisor->signals, NULL);
}

int supervisor_run(struct config *config, struct service *service,
                   int (*work)(const struct config *config, struct service *service))
{
    const size_t count = (size_t)config->workers;
    struct supervisor supervisor = {.config = config,
                                    .service = service,
                                    .work = work,
                                    .count = count,
                                    .started_ms = clock_monotonic_ms()};
    bool own_redis = config->redis_url.scheme == REDIS_EMBEDDED;
    if (own_redis && (supervisor.redis = start_redis(&supervisor)) == NULL)
        return 1;
    supervisor.workers = memory_new(count * sizeof *supervisor.workers);
    block_signals(&supervisor);
    bool is_worker = supervise(&supervisor);
    free(supervisor.workers);
    if (is_worker)
        embedded_redis_forget(supervisor.redis);
    else
        embedded_redis_stop(supervisor.redis);
    port_claim_release(&supervisor.claim);
    return supervisor.status;
}
