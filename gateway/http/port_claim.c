#include "http/port_claim.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A name without a file (unix(7)) is one process' alone, and gone with it. */
static void name_claim(const unsigned char *port, socklen_t len, struct sockaddr_un *out)
{
    static const char prefix[] = "yukizuri-private-";
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t at = (size_t)snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "%s", prefix) + 1;
    for (socklen_t i = 0; i < len && at + 2 < sizeof out->sun_path; i++, at += 2) {
        unsigned byte = port[i]; /* NOLINT(clang-analyzer-*): getsockname has written it */
        snprintf(out->sun_path + at, sizeof out->sun_path - at, "%02x", byte);
    }
}

/* The socket that is the claim; or -1 and errno. */
static int claim_port(int listening)
{
    _Alignas(struct sockaddr_storage) unsigned char port[sizeof(struct sockaddr_storage)] = {0};
    struct sockaddr_un name;
    socklen_t len = sizeof port;
    if (getsockname(listening, (struct sockaddr *)(void *)port, &len) != 0)
        return -1;
    if (len > sizeof port) /* it would be as long as the address, of which a part was written */
        len = sizeof port;
    name_claim(port, len, &name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof name) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int claim_ports(const struct listen_socket *listening, const char *addr,
                       struct port_claim *out, char *error, size_t error_size)
{
    for (size_t i = 0; i < listening->count; i++) {
        int fd = claim_port(listening->fds[i]);
        if (fd < 0) {
            snprintf(error, error_size, "cannot listen on %.150s: %s", addr,
                     errno == EADDRINUSE
                         ? "another chat with workers and a private Redis has this port; choose "
                           "another port, or one Redis for both"
                         : strerror(errno));
            return -1;
        }
        out->fds[out->count++] = fd;
    }
    return 0;
}

int port_claim_acquire(const struct config *config, const struct service_sockets *given,
                       struct port_claim *out, char *error, size_t error_size)
{
    const struct listen_socket_options alone = {
        .shared = false, .mode = config->addr_mode, .owner = &config->run_as, .given = given};
    int result = 0;
    out->count = 0;
    for (size_t i = 0; result == 0 && i < config->addr.count; i++) {
        struct listen_socket listening;
        result = listen_socket_open(&config->listen[i], &alone, &listening, error, error_size);
        if (result == 0)
            result = claim_ports(&listening, config->addr.items[i], out, error, error_size);
        listen_socket_close(&listening);
    }
    if (result != 0)
        port_claim_release(out);
    return result;
}

void port_claim_release(struct port_claim *claim)
{
    for (size_t i = 0; i < claim->count; i++)
        close(claim->fds[i]);
    claim->count = 0;
}
