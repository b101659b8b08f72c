/* floor: the least that a chat server can do: a bare epoll loop that accepts WebSockets and writes
 * whatever one client sends to every client of its room (the path it asked for). No Redis, no
 * limits, no safety, no partial writes (who cannot keep up loses bytes): it is what a gateway's
 * cost is compared with.
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
#include <signal.h>
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

enum { MOST = 65536, BUFFER_BYTES = 1 << 20, MOST_FRAMES = 1024, BATCH = 256, PATH_BYTES = 128 };

struct room {
    struct room *next; /* of all */
    struct room *next_busy;
    char path[PATH_BYTES];
    int *sockets;
    int count, space;
    struct iovec *frames;  /* of this turn; MOST_FRAMES of them, NULL before the first */
    struct msghdr message; /* the same, as the kernel wants them */
};

static struct socket_state {
    struct room *room; /* NULL: not upgraded yet */
    int place;         /* in its sockets */
    size_t kept;       /* bytes of an incomplete frame */
    char *rest;
} states[MOST];
static struct room *rooms;
static struct room *busy; /* have frames */
static struct io_uring ring;
static unsigned submitted; /* and not reaped */
static void (*send_frames)(const struct room *room);

/* --- The three ways of sending --- */

static void send_plain(const struct room *room)
{
    for (size_t f = 0; f < room->message.msg_iovlen; f++)
        for (int i = 0; i < room->count; i++)
            send(room->sockets[i], room->frames[f].iov_base, room->frames[f].iov_len,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_writev(const struct room *room)
{
    for (int i = 0; i < room->count; i++) {
        ssize_t sent = writev(room->sockets[i], room->frames, (int)room->message.msg_iovlen);
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
    submitted = 0;
}

static void send_uring(const struct room *room)
{
    for (int i = 0; i < room->count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
        if (room->message.msg_iovlen == 1)
            io_uring_prep_send(entry, room->sockets[i], room->frames[0].iov_base,
                               room->frames[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            io_uring_prep_sendmsg(entry, room->sockets[i], &room->message,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
        if (++submitted == BATCH)
            reap_submission();
    }
}

static void flush(void)
{
    for (struct room *room = busy; room != NULL; room = room->next_busy)
        send_frames(room);
    if (submitted > 0)
        reap_submission();
    for (; busy != NULL; busy = busy->next_busy) {
        for (size_t i = 0; i < busy->message.msg_iovlen; i++)
            free(busy->frames[i].iov_base);
        busy->message.msg_iovlen = 0;
    }
}

/* --- Rooms --- */

static struct room *find_room(const char *path)
{
    struct room *room = rooms;
    while (room != NULL && strcmp(room->path, path) != 0)
        room = room->next;
    if (room != NULL)
        return room;
    room = calloc(1, sizeof *room);
    snprintf(room->path, sizeof room->path, "%s", path);
    room->next = rooms;
    rooms = room;
    return room;
}

static void enter(struct room *room, int fd)
{
    if (room->count == room->space) {
        room->space = room->space * 2 + 16;
        room->sockets = realloc(room->sockets, (size_t)room->space * sizeof room->sockets[0]);
    }
    states[fd].room = room;
    states[fd].place = room->count;
    room->sockets[room->count++] = fd;
}

static void leave(struct room *room, int place)
{
    room->sockets[place] = room->sockets[--room->count];
    states[room->sockets[place]].place = place;
}

/* --- Reading --- */

static void answer_handshake(int fd, char *request, size_t len)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    char path[PATH_BYTES] = "";
    request[len] = '\0';
    sscanf(request, "GET %127s", path);
    send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    enter(find_room(path), fd);
}

static void relay(struct room *room, const char *payload, size_t len)
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
    if (room->message.msg_iovlen == MOST_FRAMES)
        flush();
    if (room->frames == NULL)
        room->message.msg_iov = room->frames = calloc(MOST_FRAMES, sizeof room->frames[0]);
    if (room->message.msg_iovlen == 0) {
        room->next_busy = busy;
        busy = room;
    }
    room->frames[room->message.msg_iovlen++] = (struct iovec){frame, head + len};
}

/* The clients' masks are zeroes. Returns how many bytes were whole frames. */
static size_t take_frames(struct room *room, const char *data, size_t len)
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
            relay(room, (const char *)frame + head, payload);
        at += head + payload;
    }
    return at;
}

static void forget(int fd)
{
    struct socket_state *state = &states[fd];
    if (state->room != NULL)
        leave(state->room, state->place);
    free(state->rest);
    *state = (struct socket_state){0};
    close(fd);
}

static void on_readable(int fd)
{
    static char buffer[BUFFER_BYTES + 1];
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
    if (state->room == NULL) {
        answer_handshake(fd, buffer, len);
        return;
    }
    size_t at = take_frames(state->room, buffer, len);
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
    signal(SIGPIPE, SIG_IGN);
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
