#include "http/given_sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* --- The address of one --- */

static int read_path(const struct sockaddr_un *name, socklen_t len, struct listen_address *out)
{
    if (len <= offsetof(struct sockaddr_un, sun_path) || name->sun_path[0] == '\0')
        return -1; /* no name, or one without a file */
    out->kind = LISTEN_UNIX;
    size_t path_len = strnlen(name->sun_path, len - offsetof(struct sockaddr_un, sun_path));
    if (path_len >= sizeof out->path)
        return -1;
    memcpy(out->path, name->sun_path, path_len);
    return 0;
}

static int read_v6(const struct sockaddr_in6 *name, struct listen_address *out)
{
    out->port = ntohs(name->sin6_port);
    out->kind = IN6_IS_ADDR_UNSPECIFIED(&name->sin6_addr) ? LISTEN_EVERYWHERE : LISTEN_HOST;
    if (out->kind == LISTEN_HOST)
        inet_ntop(AF_INET6, &name->sin6_addr, out->host, sizeof out->host);
    return 0;
}

static int read_v4(const struct sockaddr_in *name, struct listen_address *out)
{
    out->port = ntohs(name->sin_port);
    out->kind = LISTEN_HOST;
    inet_ntop(AF_INET, &name->sin_addr, out->host, sizeof out->host);
    return 0;
}

static int read_address(int fd, struct listen_address *out)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;
    *out = (struct listen_address){0};
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0)
        return -1;
    switch (name.ss_family) {
    case AF_UNIX:
        return read_path((struct sockaddr_un *)&name, len, out);
    case AF_INET6:
        return read_v6((struct sockaddr_in6 *)&name, out);
    case AF_INET:
        return read_v4((struct sockaddr_in *)&name, out);
    default:
        return -1;
    }
}

/* --- All of them --- */

int given_sockets_find(const struct service_sockets *given, const struct listen_address *address)
{
    struct listen_address own;
    for (size_t i = 0; given != NULL && i < given->count; i++)
        if (read_address(given->fds[i], &own) == 0 && listen_address_is_same(&own, address))
            return given->fds[i];
    return -1;
}

static bool is_named(const struct config *config, const struct listen_address *address)
{
    for (size_t i = 0; i < config->addr.count; i++)
        if (listen_address_is_same(&config->listen[i], address))
            return true;
    return false;
}

int given_sockets_announce(const struct service_sockets *given, struct config *config, char *error,
                           size_t error_size)
{
    if (given->count > 0 && !config->addr_given)
        config_clear_addr(config);
    for (size_t i = 0; i < given->count; i++) {
        struct listen_address address;
        const char *wrong = "is a socket without a path or port";
        if (read_address(given->fds[i], &address) == 0)
            wrong = is_named(config, &address) ? NULL : config_add_addr(config, &address);
        if (wrong != NULL) {
            snprintf(error, error_size, "LISTEN_FDS: descriptor %d %s", given->fds[i], wrong);
            return -1;
        }
    }
    return 0;
}
