#include "redis/embedded.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "redis/keeper.h"
#include "redis/spawner.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TERM_MS = 2000, /* for the keeper to end by itself, */
    KILL_MS = 1000, /* and once it was killed */
    POLL_MS = 2,    /* how often waitpid is called meanwhile */
    WHY_BYTES = 64,
};

/* Both ends of the lifeline are kept, so that a keeper can be replaced. */
struct embedded_redis {
    pid_t keeper; /* 0: there is none */
    int lifeline; /* the keeper ends the server when this end closes; its news are read here */
    struct keeper job;
    struct spawner spawner; /* for a gateway that may not fork */
    int last_status;        /* of the server that died last, as waitpid gives it */
};

static bool can_be_run(const char *name)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)len, path, name);
        if (access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* A longer one may leave no room for the socket's path. */
static const char *find_base(void)
{
    const char *base = getenv("TMPDIR");
    return base == NULL || base[0] == '\0' || strlen(base) > 30 ? "/tmp" : base;
}

static int make_directory(struct keeper *job)
{
    snprintf(job->directory, sizeof job->directory, "%s/yukizuri-XXXXXX", find_base());
    if (mkdtemp(job->directory) == NULL)
        return -1;
    if (user_own(&job->owner, job->directory) != 0) {
        int saved = errno;
        rmdir(job->directory);
        errno = saved;
        return -1;
    }
    snprintf(job->socket, sizeof job->socket, "%s/redis.sock", job->directory);
    return 0;
}

static int open_lifeline(struct embedded_redis *redis)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return -1;
    redis->lifeline = ends[0];
    redis->job.lifeline = ends[1];
    return 0;
}

static void close_lifeline(const struct embedded_redis *redis)
{
    close(redis->lifeline);
    close(redis->job.lifeline);
}

static pid_t fork_keeper(struct embedded_redis *redis)
{
    sigset_t before;
    signals_block(&before);
    pid_t keeper = fork();
    if (keeper == 0)
        keeper_run(&redis->job);
    signals_set_mask(&before);
    return keeper;
}

static int start_keeper(struct embedded_redis *redis)
{
    pid_t keeper = redis->spawner.pid == 0 ? fork_keeper(redis)
                                           : spawner_spawn(&redis->spawner, &redis->job.deaths);
    if (keeper < 0)
        return -1;
    redis->keeper = keeper;
    return 0;
}

static struct embedded_redis *new_embedded(const struct embedded_redis_options *options)
{
    struct embedded_redis *redis = memory_new(sizeof *redis);
    if (options->owner != NULL)
        redis->job.owner = *options->owner;
    bool has_directory = make_directory(&redis->job) == 0;
    bool has_lifeline = has_directory && open_lifeline(redis) == 0;
    bool can_start =
        has_lifeline && (!options->confined || spawner_start(&redis->spawner, &redis->job) == 0);
    if (can_start && start_keeper(redis) == 0)
        return redis;
    int saved = errno;
    spawner_stop(&redis->spawner);
    if (has_lifeline)
        close_lifeline(redis);
    if (has_directory)
        keeper_remove_files(&redis->job);
    free(redis);
    errno = saved;
    return NULL;
}

struct embedded_redis *embedded_redis_start(struct redis_url *url,
                                            const struct embedded_redis_options *options,
                                            char *error, size_t error_size)
{
    if (!can_be_run("redis-server")) {
        snprintf(error, error_size,
                 "redis-server is not installed: install it, or name a Redis with "
                 "--redis redis://HOST:PORT");
        return NULL;
    }
    struct embedded_redis *redis = new_embedded(options);
    if (redis == NULL) {
        snprintf(error, error_size,
                 "cannot start the private Redis, in a directory of its own in %s (TMPDIR): %s",
                 find_base(), strerror(errno));
        return NULL;
    }
    memset(url, 0, sizeof *url);
    url->scheme = REDIS_UNIX;
    memcpy(url->path, redis->job.socket, strlen(redis->job.socket) + 1);
    return redis;
}

/* --- Deaths --- */

static void describe_exit(int status, char why[WHY_BYTES])
{
    if (WIFSIGNALED(status))
        snprintf(why, WHY_BYTES, "by signal %d", WTERMSIG(status));
    else
        snprintf(why, WHY_BYTES, "with status %d", WEXITSTATUS(status));
}

/* The keeper died, and the server with it. */
static bool replace_keeper(struct embedded_redis *redis)
{
    bool too_many = keeper_note_death(&redis->job.deaths, clock_monotonic_ms());
    return !too_many && start_keeper(redis) == 0;
}

/* Notes what the keeper has told; returns whether there was something. */
static bool read_news(struct embedded_redis *redis)
{
    struct keeper_news news;
    bool any = false;
    while (read(redis->lifeline, &news, sizeof news) == (ssize_t)sizeof news) {
        keeper_note_death(&redis->job.deaths, news.at_ms);
        redis->last_status = news.status;
        any = true;
    }
    return any;
}

enum embedded_redis_news embedded_redis_check(struct embedded_redis *redis, char *what,
                                              size_t what_size)
{
    char why[WHY_BYTES];
    int status;
    if (redis == NULL || redis->keeper == 0)
        return EMBEDDED_REDIS_QUIET;
    bool ended = waitpid(redis->keeper, &status, WNOHANG) == redis->keeper;
    bool any = read_news(redis);
    if (!any && !ended)
        return EMBEDDED_REDIS_QUIET;
    bool given_up = ended && WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_GAVE_UP;
    describe_exit(any || given_up ? redis->last_status : status, why);
    if (ended)
        redis->keeper = 0;
    if (!ended || (!given_up && replace_keeper(redis))) {
        snprintf(what, what_size, "the private Redis ended %s and was started again, empty", why);
        return EMBEDDED_REDIS_RESTARTED;
    }
    snprintf(what, what_size,
             "the private Redis ended %d times within %d seconds, lastly %s: see that it can run "
             "(memory, redis-server), or name another one with --redis redis://HOST:PORT",
             KEEPER_MOST_DEATHS, KEEPER_SPAN_MS / 1000, why);
    return EMBEDDED_REDIS_GIVEN_UP;
}

/* --- The end --- */

static bool await_end(pid_t keeper, int patience_ms)
{
    int64_t end_ms = clock_monotonic_ms() + patience_ms;
    pid_t ended;
    while ((ended = waitpid(keeper, NULL, WNOHANG)) == 0 && clock_monotonic_ms() < end_ms)
        poll(NULL, 0, POLL_MS);
    return ended != 0;
}

/* A keeper that was stopped, say, does not see that it shall end. */
void embedded_redis_stop(struct embedded_redis *redis)
{
    if (redis == NULL)
        return;
    spawner_stop(&redis->spawner);
    close_lifeline(redis);
    if (redis->keeper != 0 && !await_end(redis->keeper, TERM_MS)) {
        kill(redis->keeper, SIGKILL);
        await_end(redis->keeper, KILL_MS);
    }
    keeper_remove_files(&redis->job);
    free(redis);
}

void embedded_redis_forget(struct embedded_redis *redis)
{
    free(redis);
}
