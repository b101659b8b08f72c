#include "embedded_redis.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct embedded_redis {
    pid_t keeper;
    int lifeline; /* the keeper ends the server when this end of a pipe closes */
};

struct paths {
    char directory[64];
    char socket[96];
};

static bool can_be_run(const char *name)
{
    const char *path = getenv("PATH");
    char file[4096];
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)len, path, name);
        if (access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* In the server's process; does not return. */
static void run_server(const struct paths *paths)
{
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", paths->socket,
           "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", paths->directory,
           "--daemonize", "no", (char *)NULL);
    _exit(127);
}

/* In the keeper's process; does not return. */
static void keep(const struct paths *paths, int lifeline)
{
    char byte;
    /* what the gateway has open is not ours to keep open */
    if (lifeline > 3)
        close_range(3, (unsigned)lifeline - 1, 0);
    close_range((unsigned)lifeline + 1, ~0U, 0);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the gateway, which then lets go of us */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    setpgid(0, 0);
    pid_t server = fork();
    if (server == 0)
        run_server(paths);
    while (read(lifeline, &byte, 1) < 0 && errno == EINTR)
        ;
    if (server > 0) {
        kill(server, SIGKILL); /* nothing of it is worth saving */
        waitpid(server, NULL, 0);
    }
    unlink(paths->socket);
    rmdir(paths->directory);
    _exit(0);
}

static int make_directory(struct paths *out)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > 30)
        base = "/tmp";
    snprintf(out->directory, sizeof out->directory, "%s/yukizuri-XXXXXX", base);
    if (mkdtemp(out->directory) == NULL)
        return -1;
    snprintf(out->socket, sizeof out->socket, "%s/redis.sock", out->directory);
    return 0;
}

struct embedded_redis *embedded_redis_start(struct redis_url *url, char *error, size_t error_size)
{
    struct paths paths;
    int pipe_ends[2];
    if (!can_be_run("redis-server")) {
        snprintf(error, error_size,
                 "redis-server is not installed: install it, or name a Redis with "
                 "--redis redis://HOST:PORT");
        return NULL;
    }
    if (make_directory(&paths) != 0 || pipe2(pipe_ends, O_CLOEXEC) != 0) {
        snprintf(error, error_size, "cannot start the embedded Redis: %s", strerror(errno));
        return NULL;
    }
    pid_t keeper = fork();
    if (keeper == 0) {
        close(pipe_ends[1]);
        keep(&paths, pipe_ends[0]);
    }
    close(pipe_ends[0]);
    if (keeper < 0) {
        snprintf(error, error_size, "cannot start the embedded Redis: %s", strerror(errno));
        close(pipe_ends[1]);
        rmdir(paths.directory);
        return NULL;
    }
    struct embedded_redis *redis = memory_new(sizeof *redis);
    redis->keeper = keeper;
    redis->lifeline = pipe_ends[1];
    memset(url, 0, sizeof *url);
    url->scheme = REDIS_UNIX;
    memcpy(url->path, paths.socket, strlen(paths.socket) + 1);
    return redis;
}

void embedded_redis_stop(struct embedded_redis *redis)
{
    if (redis == NULL)
        return;
    close(redis->lifeline);
    while (waitpid(redis->keeper, NULL, 0) < 0 && errno == EINTR)
        ;
    free(redis);
}

void embedded_redis_forget(struct embedded_redis *redis)
{
    free(redis);
}
