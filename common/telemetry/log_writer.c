#include "telemetry/log_writer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_BYTES = 65536,
    PAUSE_MS = 10, /* between batches: in a burst of lines the thread wakes up so seldom */
    WAIT_MS = 100, /* for what stands still; then it looks whether it shall end */
    JOIN_S = 2,    /* more than LOG_WRITER_END_MS and what a round of the thread takes */
};

struct log_writer {
    /* the caller's */
    pthread_t thread;
    int queue_in;
    size_t capacity;
    bool full;
    struct text remainder; /* of a line that the queue took a part of */
    /* flags from one to the other */
    atomic_bool reopen;
    atomic_int error;
    _Atomic int64_t end_ms; /* monotonic; 0 until it is closed */
    /* the thread's */
    char *path;
    int queue_out;
    int fd;
    size_t held; /* bytes of `batch` that are not written yet */
    char batch[BATCH_BYTES];
};

/* --- The descriptor --- */

/* Of a FIFO we are a reader as well: then it is there without another one, and what waits in it
 * outlives a reader that is restarted (fifo(7)). What is at the path is opened and not asked after
 * first: it may be another file a moment later. */
static int open_path(const char *path)
{
    const int flags = O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = open(path, O_RDWR | flags);
    if (fd < 0 && errno == ENOENT)
        fd = open(path, O_WRONLY | O_CREAT | flags, 0640);
    else if (fd < 0 && errno == EACCES) /* it may be written alone */
        fd = open(path, O_WRONLY | flags);
    return fd;
}

static int open_target(const char *path)
{
    return path == NULL ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : open_path(path);
}

/* --- The thread --- */

static void wait_a_while(int ms)
{
    poll(NULL, 0, ms);
}

static bool is_over(struct log_writer *writer)
{
    int64_t end_ms = atomic_load(&writer->end_ms);
    return end_ms != 0 && clock_monotonic_ms() >= end_ms;
}

/* Opens the path again where that was asked for. Returns whether another file is written to. */
static bool follow_path(struct log_writer *writer)
{
    if (!atomic_exchange(&writer->reopen, false))
        return false;
    int fd = open_path(writer->path);
    if (fd < 0) {
        atomic_store(&writer->error, errno);
        return false;
    }
    close(writer->fd);
    writer->fd = fd;
    return true;
}

static size_t start_of_line(const char *data, size_t at)
{
    const char *before = at == 0 ? NULL : memrchr(data, '\n', at);
    return before == NULL ? 0 : (size_t)(before - data) + 1;
}

/* A pipe or terminal is asked first, so that a reopening or the end is not missed in a write that
 * waits; that can only happen when another process takes the same room. */
static void write_piece(struct log_writer *writer, const char *data, size_t len)
{
    size_t done = 0;
    while (done < len && !is_over(writer)) {
        struct pollfd target = {.fd = writer->fd, .events = POLLOUT};
        if (follow_path(writer))
            done = start_of_line(data, done); /* lines are whole in the new file */
        if (poll(&target, 1, WAIT_MS) <= 0)
            continue;
        ssize_t sent = write(writer->fd, data + done, len - done);
        if (sent > 0)
            done += (size_t)sent;
        else if (errno != EINTR)
            wait_a_while(WAIT_MS); /* the disk is full, or the reader gone: perhaps later */
    }
}

/* As many whole lines as can be written at once; one at least, and 0 when not even that is here. */
static size_t piece_len(const char *data, size_t len)
{
    const char *end = memrchr(data, '\n', len < PIPE_BUF ? len : PIPE_BUF);
    if (end == NULL)
        end = memchr(data, '\n', len);
    if (end != NULL)
        return (size_t)(end - data) + 1;
    return len == BATCH_BYTES ? len : 0;
}

static void write_lines(struct log_writer *writer)
{
    size_t done = 0;
    size_t len;
    while ((len = piece_len(writer->batch + done, writer->held - done)) > 0) {
        write_piece(writer, writer->batch + done, len);
        done += len;
    }
    writer->held -= done;
    memmove(writer->batch, writer->batch + done, writer->held);
}

/* A NUL is no part of a line: it has only woken the thread. */
static size_t drop_wakes(char *data, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len; i++)
        if (data[i] != '\0')
            data[kept++] = data[i];
    return kept;
}

static void *run(void *arg)
{
    struct log_writer *writer = arg;
    ssize_t got;
    while ((got = read(writer->queue_out, writer->batch + writer->held,
                       BATCH_BYTES - writer->held)) > 0) {
        follow_path(writer);
        writer->held += drop_wakes(writer->batch + writer->held, (size_t)got);
        write_lines(writer);
        if (atomic_load(&writer->end_ms) == 0)
            wait_a_while(PAUSE_MS);
    }
    return NULL;
}

/* --- The caller's side --- */

/* Signals are the caller's, and a pipe without a reader is an error of write(2) here. */
static int start_thread(struct log_writer *writer)
{
    sigset_t before;
    signals_block(&before);
    int error = pthread_create(&writer->thread, NULL, run, writer);
    signals_set_mask(&before);
    return error;
}

static void free_writer(struct log_writer *writer)
{
    int saved = errno;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->queue_out >= 0)
        close(writer->queue_out);
    text_done(&writer->remainder);
    free(writer->path);
    free(writer);
    errno = saved;
}

/* A pipe that cannot grow is smaller, and works as well. */
static int open_queue(struct log_writer *writer)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    writer->queue_out = ends[0];
    writer->queue_in = ends[1];
    fcntl(writer->queue_in, F_SETPIPE_SZ, LOG_WRITER_QUEUE_BYTES);
    fcntl(writer->queue_in, F_SETFL, O_NONBLOCK); /* our own end; the thread waits at the other */
    writer->capacity = (size_t)fcntl(writer->queue_in, F_GETPIPE_SZ);
    return 0;
}

struct log_writer *log_writer_open(const char *path)
{
    struct log_writer *writer = memory_new(sizeof *writer);
    writer->path = memory_copy_string(path);
    writer->queue_out = -1;
    writer->fd = open_target(path);
    if (writer->fd < 0 || open_queue(writer) != 0) {
        free_writer(writer);
        return NULL;
    }
    int error = start_thread(writer);
    if (error == 0)
        return writer;
    close(writer->queue_in);
    free_writer(writer);
    errno = error;
    return NULL;
}

/* Returns whether nothing is left of it. */
static bool put_remainder(struct log_writer *writer)
{
    struct text *remainder = &writer->remainder;
    ssize_t put =
        remainder->len == 0 ? 0 : write(writer->queue_in, remainder->data, remainder->len);
    if (put > 0) {
        memmove(remainder->data, remainder->data + put, remainder->len - (size_t)put);
        remainder->len -= (size_t)put;
    }
    return remainder->len == 0;
}

static bool has_room(struct log_writer *writer)
{
    int waiting = 0;
    if (writer->full && ioctl(writer->queue_in, FIONREAD, &waiting) == 0)
        writer->full = (size_t)waiting > writer->capacity / 4;
    return !writer->full && put_remainder(writer);
}

bool log_writer_add(struct log_writer *writer, const char *line, size_t len)
{
    ssize_t put = has_room(writer) ? write(writer->queue_in, line, len) : -1;
    if (put < 0) {
        writer->full = true;
        return false;
    }
    text_add(&writer->remainder, line + put, len - (size_t)put);
    return true;
}

void log_writer_push(struct log_writer *writer)
{
    put_remainder(writer);
}

void log_writer_reopen(struct log_writer *writer)
{
    if (writer->path == NULL)
        return;
    atomic_store(&writer->reopen, true);
    /* where there is no room the thread is not asleep */
    if (write(writer->queue_in, "", 1) < 0)
        return;
}

int log_writer_take_error(struct log_writer *writer)
{
    return atomic_exchange(&writer->error, 0);
}

static void put_all(struct log_writer *writer, int64_t end_ms)
{
    while (!put_remainder(writer)) {
        struct pollfd queue = {.fd = writer->queue_in, .events = POLLOUT};
        int64_t left_ms = end_ms - clock_monotonic_ms();
        if (left_ms <= 0 || poll(&queue, 1, (int)left_ms) <= 0)
            return;
    }
}

void log_writer_close(struct log_writer *writer, const char *last, size_t len)
{
    if (writer == NULL)
        return;
    struct timespec patience;
    int64_t end_ms = clock_monotonic_ms() + LOG_WRITER_END_MS;
    atomic_store(&writer->end_ms, end_ms);
    text_add(&writer->remainder, last, len);
    put_all(writer, end_ms);
    close(writer->queue_in);
    clock_gettime(CLOCK_MONOTONIC, &patience);
    patience.tv_sec += JOIN_S;
    if (pthread_clockjoin_np(writer->thread, NULL, CLOCK_MONOTONIC, &patience) == 0)
        free_writer(writer);
    else /* it hangs in a write, and so does the memory until the process has ended */
        pthread_detach(writer->thread);
}
