#include "http/listen_socket.h"

#include "http/given_sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, MAX_UNSENT_BYTES = 131072, PORT_BYTES = 8 };

static int fail_listening(const struct listen_address *address, const char *why, char *error,
                          size_t error_size)
{
    char text[LISTEN_TEXT_BYTES];
    listen_address_format(address, text);
    snprintf(error, error_size, "cannot listen on %.150s: %s", text, why);
    return -1;
}

/* The end of the sentence: what to do about it. */
static const char *advise_on_bind(int why)
{
    switch (why) {
    case EADDRINUSE:
        return "; stop what listens there (ss -ltnp shows it), or choose another port";
    case EADDRNOTAVAIL:
        return "; it is no address of this machine";
    case EACCES:
        return "; a port below 1024 needs the right to it (CAP_NET_BIND_SERVICE)";
    case EMFILE:
        return "; raise the limit of open files (ulimit -n, LimitNOFILE=)";
    default:
        return "";
    }
}

static int fail_binding(const struct listen_address *address, char *error, size_t error_size)
{
    char why[160];
    snprintf(why, sizeof why, "%s%s", strerror(errno), advise_on_bind(errno));
    return fail_listening(address, why, error, error_size);
}

/* --- Ports --- */

/* Accepted sockets inherit these; a path has none of them. The kernel would buffer megabytes for a
 * peer that does not read; unsent messages are the room log's to keep, and the `backlog` setting's
 * to bound. */
static void set_accepted_options(int fd)
{
    const int on = 1;
    const int max_unsent = MAX_UNSENT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &max_unsent, sizeof max_unsent);
}

static void set_options(int fd, bool shared)
{
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    set_accepted_options(fd);
}

/* The socket; or -1 and errno. `v6_only`: IPv4 has a socket of its own. */
static int open_socket(const struct sockaddr *address, socklen_t len, bool shared, bool v6_only)
{
    const int only = v6_only;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_options(fd, shared);
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A machine may have no IPv6, and a name may stand for other machines as well. */
static bool is_skippable(int why)
{
    return why == EAFNOSUPPORT || why == EADDRNOTAVAIL;
}

/* One socket for IPv6 and IPv4; IPv4 alone where there is no IPv6. */
static int open_wildcard(int port, bool shared)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = open_socket((struct sockaddr *)&any6, sizeof any6, shared, false);
    if (fd < 0 && is_skippable(errno))
        fd = open_socket((struct sockaddr *)&any4, sizeof any4, shared, false);
    return fd;
}

/* /etc/hosts may name an address in two lines, of which getaddrinfo makes two. */
static bool is_duplicate(const struct addrinfo *all, const struct addrinfo *info)
{
    for (; all != info; all = all->ai_next)
        if (all->ai_addrlen == info->ai_addrlen &&
            memcmp(all->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
            return true;
    return false;
}

/* 0; or -1 and errno. */
static int open_each(const struct addrinfo *all, bool shared, bool is_name,
                     struct listen_socket *out)
{
    int why = EADDRNOTAVAIL;
    for (const struct addrinfo *info = all; info != NULL; info = info->ai_next) {
        if (is_duplicate(all, info) || out->count == LISTEN_SOCKET_FDS)
            continue;
        int fd = open_socket(info->ai_addr, info->ai_addrlen, shared, is_name);
        if (fd >= 0)
            out->fds[out->count++] = fd;
        else if (is_skippable(errno))
            why = errno;
        else
            return -1;
    }
    errno = why;
    return out->count > 0 ? 0 : -1;
}

static int open_host(const struct listen_address *address, bool shared, struct listen_socket *out,
                     char *error, size_t error_size)
{
    char port[PORT_BYTES];
    char why[160];
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    snprintf(port, sizeof port, "%u", (unsigned)(uint16_t)address->port);
    int wrong = getaddrinfo(address->host, port, &hints, &found);
    if (wrong != 0) {
        snprintf(why, sizeof why,
                 "the host name cannot be resolved: %s; see /etc/hosts and the "
                 "name server",
                 wrong == EAI_SYSTEM ? strerror(errno) : gai_strerror(wrong));
        return fail_listening(address, why, error, error_size);
    }
    int result = open_each(found, shared, address->is_name, out);
    if (result != 0)
        fail_binding(address, error, error_size);
    freeaddrinfo(found);
    return result;
}

static int open_port(const struct listen_address *address, bool shared, struct listen_socket *out,
                     char *error, size_t error_size)
{
    if (address->kind == LISTEN_HOST)
        return open_host(address, shared, out, error, error_size);
    out->fds[0] = open_wildcard(address->port, shared);
    if (out->fds[0] < 0)
        return fail_binding(address, error, error_size);
    out->count = 1;
    return 0;
}

/* --- Both --- */

static int open_unix_path(const struct listen_address *address,
                          const struct listen_socket_options *options, struct listen_socket *out,
                          char *error, size_t error_size)
{
    char why[256];
    out->is_path = true;
    out->fds[0] = unix_path_listen(address->path, options->mode, &out->path, why, sizeof why);
    if (out->fds[0] < 0)
        return fail_listening(address, why, error, error_size);
    out->count = 1;
    if (options->owner != NULL && user_own(options->owner, address->path) != 0) {
        unix_path_remove(&out->path);
        return fail_listening(address, strerror(errno), error, error_size);
    }
    return 0;
}

static void adopt(int fd, struct listen_socket *out)
{
    set_accepted_options(fd);
    out->fds[out->count++] = fd;
    out->is_given = true;
}

int listen_socket_open(const struct listen_address *address,
                       const struct listen_socket_options *options, struct listen_socket *out,
                       char *error, size_t error_size)
{
    *out = (struct listen_socket){0};
    int given = given_sockets_find(options->given, address);
    if (given >= 0) {
        adopt(given, out);
        return 0;
    }
    int result = address->kind == LISTEN_UNIX
                     ? open_unix_path(address, options, out, error, error_size)
                     : open_port(address, options->shared, out, error, error_size);
    if (result != 0)
        listen_socket_close(out);
    return result;
}

void listen_socket_close(struct listen_socket *listening)
{
    for (size_t i = 0; i < listening->count && !listening->is_given; i++)
        close(listening->fds[i]);
    listening->count = 0;
}

/* Of a listening socket, tcpi_unacked is the length of its queue (Linux, tcp_get_info). */
int listen_socket_count_waiting(int fd, int most)
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
static void drop_syns(int fd)
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

void listen_socket_reject(const struct listen_socket *listening)
{
    if (listening->is_given)
        return;
    if (listening->is_path && listening->count > 0)
        unix_path_remove(&listening->path);
    for (size_t i = 0; !listening->is_path && i < listening->count; i++)
        drop_syns(listening->fds[i]);
}
