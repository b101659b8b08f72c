#include "redis/resolver.h"

#include "base/memory.h"
#include "base/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct resolution {
    struct event *readable;
    int answer_fd;
    void (*done)(void *arg, const struct resolver_answer *answer);
    void *arg;
};

/* Owned and freed by the thread. */
struct question {
    char host[256];
    char port[16];
    unsigned index;
    int answer_fd;
};

static void choose(const struct addrinfo *all, unsigned index, struct resolver_answer *answer)
{
    unsigned count = 1;
    for (const struct addrinfo *at = all; at->ai_next != NULL; at = at->ai_next)
        count++;
    const struct addrinfo *chosen = all;
    for (unsigned i = index % count; i > 0; i--)
        chosen = chosen->ai_next;
    answer->len = chosen->ai_addrlen;
    memcpy(&answer->address, chosen->ai_addr, chosen->ai_addrlen);
}

/* Where no descriptor is free getaddrinfo may say that there is no such name. */
static int find_system_error(int some_fd, int error)
{
    int why = errno;
    int fd = fcntl(some_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    close(fd);
    return error == EAI_SYSTEM ? why : 0;
}

static void *resolve(void *arg)
{
    struct question *question = arg;
    struct resolver_answer answer;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    memset(&answer, 0, sizeof answer);
    answer.error = getaddrinfo(question->host, question->port, &hints, &found);
    if (answer.error == 0) {
        choose(found, question->index, &answer);
        freeaddrinfo(found);
    } else {
        answer.system_error = find_system_error(question->answer_fd, answer.error);
    }
    /* shorter than PIPE_BUF: written whole, or not at all when nobody waits any more */
    if (write(question->answer_fd, &answer, sizeof answer) < 0)
        answer.error = EAI_AGAIN;
    close(question->answer_fd);
    free(question);
    return NULL;
}

/* Signals are the loop's. */
static int start_thread(struct question *question)
{
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t before;
    signals_block(&before);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &detached, resolve, question);
    pthread_attr_destroy(&detached);
    signals_set_mask(&before);
    return error;
}

static void on_answer(evutil_socket_t fd, short events, void *arg)
{
    (void)events;
    struct resolution *resolution = arg;
    struct resolver_answer answer;
    if (read(fd, &answer, sizeof answer) != (ssize_t)sizeof answer)
        answer = (struct resolver_answer){.error = EAI_AGAIN};
    void (*done)(void *, const struct resolver_answer *) = resolution->done;
    void *done_arg = resolution->arg;
    resolver_cancel(resolution);
    done(done_arg, &answer);
}

struct resolution *resolver_start(struct event_base *base, const struct redis_url *url,
                                  unsigned index,
                                  void (*done)(void *arg, const struct resolver_answer *answer),
                                  void *arg)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    struct question *question = memory_new(sizeof *question);
    snprintf(question->host, sizeof question->host, "%s", url->host);
    snprintf(question->port, sizeof question->port, "%d", url->port);
    question->index = index;
    question->answer_fd = ends[1];
    int error = start_thread(question);
    if (error != 0) {
        close(ends[0]);
        close(ends[1]);
        free(question);
        errno = error;
        return NULL;
    }
    struct resolution *resolution = memory_new(sizeof *resolution);
    resolution->answer_fd = ends[0];
    resolution->done = done;
    resolution->arg = arg;
    resolution->readable = event_new(base, ends[0], EV_READ, on_answer, resolution);
    event_add(resolution->readable, NULL);
    return resolution;
}

void resolver_cancel(struct resolution *resolution)
{
    if (resolution == NULL)
        return;
    event_free(resolution->readable);
    close(resolution->answer_fd);
    free(resolution);
}
