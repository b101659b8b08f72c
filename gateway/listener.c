#include "listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, MOST_UNSENT_BYTES = 131072 };

static int fail(char *error, size_t size, const char *address)
{
    snprintf(error, size, "cannot listen on %s: %s", address, strerror(errno));
    return -1;
}

static int listen_on(int fd, const struct sockaddr *address, socklen_t len)
{
    if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A socket file that nobody listens on is left over from a crash. One whose owner accepts nobody,
 * so that its queue is full, is not: connecting fails with EAGAIN then (unix(7)). */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (stat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

static int open_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    fd = listen_on(fd, (struct sockaddr *)&address, sizeof address);
    if (fd >= 0)
        chmod(address.sun_path, 0666); /* who may connect is up to the directory */
    return fd;
}

static int open_info(const struct addrinfo *info, bool shared)
{
    int on = 1;
    int off = 0;
    int most_unsent = MOST_UNSENT_BYTES;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    /* Accepted sockets inherit these. Of what a peer cannot take the kernel would keep megabytes;
     * what it has not sent yet is the room's log's to keep, and the `backlog` setting's to bound.
     */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most_unsent, sizeof most_unsent);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    return listen_on(fd, info->ai_addr, info->ai_addrlen);
}

/* Splits "HOST:PORT"; the host is empty for all addresses. */
static int split(const char *address, char host[256], char port[16])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strlen(colon + 1) >= 16 || colon - address >= 256)
        return -1;
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    memcpy(host, address, len);
    host[len] = '\0';
    return 0;
}

static int open_tcp(const char *address, bool shared)
{
    char host[256];
    char port[16];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    errno = EADDRNOTAVAIL;
    if (split(address, host, port) != 0)
        return -1;
    if (host[0] == '\0') { /* one socket for IPv6 and IPv4; IPv4 alone where there is no IPv6 */
        struct sockaddr_in6 any = {.sin6_family = AF_INET6};
        struct addrinfo info = {
            .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&any, .ai_addrlen = sizeof any};
        unsigned number = 0;
        sscanf(port, "%u", &number);
        any.sin6_port = htons((uint16_t)number);
        int fd = open_info(&info, shared);
        if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
            return fd;
        hints.ai_family = AF_INET;
    }
    if (getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &found) != 0)
        return -1;
    int fd = open_info(found, shared);
    int saved = errno;
    freeaddrinfo(found);
    errno = saved;
    return fd;
}

int listener_open(const char *address, bool shared, char *error, size_t error_size)
{
    int fd = strncmp(address, "unix:", 5) == 0 ? open_unix(address + 5) : open_tcp(address, shared);
    return fd < 0 ? fail(error, error_size, address) : fd;
}

/* Of a listening socket, tcpi_unacked is the length of its queue (Linux, tcp_get_info). */
int listener_waiting(int fd, int most)
{
    struct tcp_info info;
    socklen_t len = offsetof(struct tcp_info, tcpi_unacked) + sizeof info.tcpi_unacked;
    const socklen_t needed = len;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || len < needed)
        return most;
    int waiting = info.tcpi_unacked < (unsigned)most ? (int)info.tcpi_unacked : most;
    return waiting > 0 ? waiting : 1;
}

/* The filter sees the TCP header: byte 13 has the flags. Accepted sockets inherit it, where it
 * finds nothing to drop. */
static void drop_requests(int fd)
{
    enum { FLAGS = 13, SYN = 0x02, ACK = 0x10, DROP = 0, PASS = 0xffff };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, DROP),
        BPF_STMT(BPF_RET | BPF_K, PASS),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void listener_turn_away(int fd, const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        unlink(address + 5);
    else
        drop_requests(fd);
}
