/* floor: the least that a chat server can do: a bare epoll loop that accepts WebSockets and writes
 * whatever one client sends to every client. No Redis, no rooms, no limits, no safety, no partial
 * writes (who cannot keep up loses bytes): it is what a gateway's cost is compared with.
 *
 *   floor PORT [plain|writev|uring]
 *
 * plain: one send for each delivery. writev: all frames of a turn of the loop in one system call
 * per client. uring: the same, and 256 clients' sends in one submission. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST = 65536, BUFFER_BYTES = 1 << 20, MOST_FRAMES = 1024, BATCH = 256 };

static struct socket_state {
    bool upgraded;
    int place;   /* in `sockets` */
    size_t kept; /* bytes of an incomplete frame */
    char *rest;
} states[MOST];
static int sockets[MOST];
static int count;
static struct iovec frames[MOST_FRAMES]; /* of this turn */
static int frame_count;
static struct io_uring ring;
static void (*send_frames)(void);

/* --- The three ways of sending --- */

static void send_plain(void)
{
    for (int f = 0; f < frame_count; f++)
        for (int i = 0; i < count; i++)
            send(sockets[i], frames[f].iov_base, frames[f].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_writev(void)
{
    for (int i = 0; i < count; i++) {
        ssize_t sent = writev(sockets[i], frames, frame_count);
        (void)sent;
    }
}

static void reap_submission(void)
{
    struct io_uring_cqe *done;
    unsigned head;
    unsigned seen = 0;
    io_uring_submit(&ring);
    io_uring_for_each_cqe(&ring, head, done) seen++;
    io_uring_cq_advance(&ring, seen);
}

static void send_uring(void)
{
    struct msghdr message = {.msg_iov = frames, .msg_iovlen = (size_t)frame_count};
    for (int i = 0; i < count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
        if (frame_count == 1)
            io_uring_prep_send(entry, sockets[i], frames[0].iov_base, frames[0].iov_len,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            io_uring_prep_sendmsg(entry, sockets[i], &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (i % BATCH == BATCH - 1 || i == count - 1)
            reap_submission();
    }
}

static void flush(void)
{
    if (frame_count > 0)
        send_frames();
    for (int i = 0; i < frame_count; i++)
        free(frames[i].iov_base);
    frame_count = 0;
}

/* --- Reading --- */

static void answer_handshake(int fd)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    states[fd].upgraded = true;
    states[fd].place = count;
    sockets[count++] = fd;
}

static void relay(const char *payload, size_t len)
{
    char *frame = malloc(len + 4);
    size_t head = len > 125 ? 4 : 2;
    frame[0] = (char)0x81;
    frame[1] = (char)(len > 125 ? 126 : len);
    if (len > 125) {
        frame[2] = (char)(len >> 8);
        frame[3] = (char)len;
    }
    memcpy(frame + head, payload, len);
    frames[frame_count++] = (struct iovec){frame, head + len};
    if (frame_count == MOST_FRAMES)
        flush();
}

/* The clients' masks are zeroes. Returns how many bytes were whole frames. */
static size_t take_frames(const char *data, size_t len)
{
    size_t at = 0;
    while (len - at >= 6) {
        const uint8_t *frame = (const uint8_t *)data + at;
        size_t head = 6;
        size_t payload = frame[1] & 0x7f;
        if (payload == 126) {
            head = 8;
            payload = (size_t)(frame[2] << 8 | frame[3]);
        }
        if (len - at < head + payload)
            break;
        if ((frame[0] & 15) == 1)
            relay((const char *)frame + head, payload);
        at += head + payload;
    }
    return at;
}

static void forget(int fd)
{
    struct socket_state *state = &states[fd];
    if (state->upgraded) {
        sockets[state->place] = sockets[--count];
        states[sockets[state->place]].place = state->place;
    }
    free(state->rest);
    *state = (struct socket_state){0};
    close(fd);
}

static void on_readable(int fd)
{
    static char buffer[BUFFER_BYTES];
    struct socket_state *state = &states[fd];
    if (state->kept > 0)
        memcpy(buffer, state->rest, state->kept);
    ssize_t got = recv(fd, buffer + state->kept, BUFFER_BYTES - state->kept, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            forget(fd);
        return;
    }
    size_t len = state->kept + (size_t)got;
    if (!state->upgraded) {
        answer_handshake(fd);
        return;
    }
    size_t at = take_frames(buffer, len);
    free(state->rest);
    state->kept = len - at;
    state->rest = at < len ? malloc(len - at) : NULL;
    if (at < len)
        memcpy(state->rest, buffer + at, len - at);
}

/* --- Life --- */

static void choose(const char *way)
{
    send_frames = strcmp(way, "writev") == 0  ? send_writev
                  : strcmp(way, "uring") == 0 ? send_uring
                                              : send_plain;
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN;
    if (send_frames == send_uring && io_uring_queue_init(BATCH, &ring, flags) != 0) {
        fprintf(stderr, "floor: no io_uring here\n");
        exit(1);
    }
}

static int open_listener(int port)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_port = htons((uint16_t)port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4096) != 0) {
        perror("floor");
        exit(1);
    }
    return listener;
}

static void watch(int epoll_fd, int fd)
{
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int listener = open_listener(argc > 1 ? atoi(argv[1]) : 9000);
    int epoll_fd = epoll_create1(0);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    choose(argc > 2 ? argv[2] : "plain");
    watch(epoll_fd, listener);
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(epoll_fd, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener)
                on_readable(fd);
            else if ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MOST)
                watch(epoll_fd, fd);
        }
        flush();
    }
}
