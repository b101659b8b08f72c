#include "http/unix_path.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, PATIENCE_MS = 2000, LOOK_MS = 2 };

static int fail_path(char *error, size_t error_size, const char *why)
{
    snprintf(error, error_size, "%s", why);
    return -1;
}

static int fail_path_with_errno(char *error, size_t error_size, const char *what)
{
    snprintf(error, error_size, "%s: %s", what, strerror(errno));
    return -1;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
    return address;
}

/* --- One at a time --- */

static void directory_of(const char *path, char out[sizeof(struct sockaddr_un)])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == NULL)
        memcpy(out, ".", 2);
    else
        snprintf(out, sizeof(struct sockaddr_un), "%.*s", len == 0 ? 1 : (int)len, path);
}

/* The lock is the descriptor's: it ends with it, or with the process. */
static int lock(int fd)
{
    int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_monotonic_ms() >= end_ms)
            return -1;
        poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

static int lock_directory(const char *path, char *error, size_t error_size)
{
    char directory[sizeof(struct sockaddr_un)];
    directory_of(path, directory);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, error_size, "the directory %s cannot be read: %s", directory,
                 strerror(errno));
        return -1;
    }
    if (lock(fd) == 0)
        return fd;
    snprintf(error, error_size, "the directory %s cannot be locked: %s", directory,
             errno == EWOULDBLOCK ? "another process holds it; give the socket a directory of "
                                    "its own"
                                  : strerror(errno));
    close(fd);
    return -1;
}

/* --- What is there --- */

/* Nobody listens where connecting is refused. Where the queue is full it fails with EAGAIN
 * (unix(7)): that owner hangs, and is alive. */
static const char *find_owner(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return "no descriptor is free to see who listens there";
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int why = errno;
    close(fd);
    if (result != 0 && (why == ECONNREFUSED || why == ENOENT))
        return NULL;
    if (result != 0 && why == EACCES)
        return "there is a socket that this user may not connect to; remove it if nobody listens "
               "there, or choose another path";
    return "another process listens there; stop it first, or choose another path";
}

/* Takes away what a dead process left. NULL when the path is free. */
static const char *make_free(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return NULL; /* binding tells what else is wrong */
    if (!S_ISSOCK(status.st_mode))
        return "there is a file that is no socket; remove it, or choose another path";
    const char *owner = find_owner(address);
    if (owner == NULL)
        unlink(address->sun_path);
    return owner;
}

/* --- Listening --- */

/* The mode of the descriptor is what binding makes the path with, less the umask. */
static int bind_and_listen(int fd, const struct sockaddr_un *address, unsigned mode,
                           struct unix_path *out)
{
    struct stat status;
    if (fchmod(fd, (mode_t)mode) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        return -1;
    if (chmod(address->sun_path, (mode_t)mode) != 0 || lstat(address->sun_path, &status) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int saved = errno;
        unlink(address->sun_path);
        errno = saved;
        return -1;
    }
    out->device = status.st_dev;
    out->inode = status.st_ino;
    return 0;
}

static int listen_locked(const char *path, unsigned mode, struct unix_path *out, char *error,
                         size_t error_size)
{
    const struct sockaddr_un address = address_of(path);
    const char *taken = make_free(&address);
    if (taken != NULL)
        return fail_path(error, error_size, taken);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_path_with_errno(error, error_size, "a socket cannot be made");
    if (bind_and_listen(fd, &address, mode, out) == 0)
        return fd;
    fail_path_with_errno(error, error_size, "the socket cannot be made there");
    close(fd);
    return -1;
}

int unix_path_listen(const char *path, unsigned mode, struct unix_path *out, char *error,
                     size_t error_size)
{
    int directory = lock_directory(path, error, error_size);
    if (directory < 0)
        return -1;
    out->path = path;
    int fd = listen_locked(path, mode, out, error, error_size);
    close(directory);
    return fd;
}

/* No lock: as long as somebody listens at a path, nobody who keeps to the rules takes it; and while
 * the socket is open, no other file has its number. */
void unix_path_remove(const struct unix_path *path)
{
    struct stat status;
    if (lstat(path->path, &status) == 0 && status.st_dev == path->device &&
        status.st_ino == path->inode)
        unlink(path->path);
}
