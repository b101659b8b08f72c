/* floor: the least that a chat server can do: a bare epoll loop that accepts WebSockets, and writes
 * each message, framed once, to every socket with one send each. No Redis, no rooms, no limits, no
 * safety: it is what a gateway's cost is compared with.
 *
 *   floor PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, BUFFER_BYTES = 65536, PAYLOAD_BYTES = 222 };

static int sockets[MOST];
static int count;
static bool upgraded[MOST];
static uint64_t seq;

static void answer_handshake(int fd)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    static const char welcome[] = "\x81\x12{\"type\":\"welcome\"}";
    send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    send(fd, welcome, sizeof welcome - 1, MSG_NOSIGNAL);
    upgraded[fd] = true;
    sockets[count++] = fd;
}

/* A frame as large as a gateway's, with the time stamp that the load generator looks for. */
static void fan_out(const char *stamp)
{
    char frame[PAYLOAD_BYTES + 8];
    int len = snprintf(frame + 4, sizeof frame - 4,
                       "{\"type\":\"message\",\"seq\":%" PRIu64 ",\"text\":\"%.20s", ++seq, stamp);
    for (; len < PAYLOAD_BYTES - 2; len++)
        frame[4 + len] = 'x';
    memcpy(frame + 4 + len, "\"}", 2);
    frame[0] = (char)0x81;
    frame[1] = 126;
    frame[2] = 0;
    frame[3] = (char)PAYLOAD_BYTES;
    for (int i = 0; i < count; i++)
        send(sockets[i], frame, PAYLOAD_BYTES + 4, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_readable(int fd)
{
    static char buffer[BUFFER_BYTES];
    ssize_t got = recv(fd, buffer, sizeof buffer - 1, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            close(fd);
        return;
    }
    buffer[got] = '\0';
    if (!upgraded[fd])
        answer_handshake(fd);
    for (char *at = buffer;
         (at = memmem(at, (size_t)(buffer + got - at), "\"text\":\"", 8)) != NULL;)
        fan_out(at += 8);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u)};
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int epoll_fd = epoll_create1(0);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 9000));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4096) != 0) {
        perror("floor");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(epoll_fd, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                on_readable(events[i].data.fd);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0 || fd >= MOST)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
