#include "http/unix_path.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
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

enum { BACKLOG = 4096, LOCK_TIMEOUT_MS = 2000, LOCK_POLL_MS = 2 };

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
    return address;
}

/* --- One at a time --- */

/* The lock is the descriptor's: it ends with it, or with the process. */
static int lock_with_timeout(int fd)
{
    int64_t end_ms = clock_monotonic_ms() + LOCK_TIMEOUT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_monotonic_ms() >= end_ms)
            return -1;
        poll(NULL, 0, LOCK_POLL_MS);
    }
    return 0;
}

static int lock_directory(const char *path, char *error, size_t error_size)
{
    char copy[sizeof(struct sockaddr_un)];
    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, error_size, "the directory %s cannot be read: %s", directory,
                 strerror(errno));
        return -1;
    }
    if (lock_with_timeout(fd) == 0)
        return fd;
    snprintf(error, error_size, "the directory %s cannot be locked: %s", directory,
             errno == EWOULDBLOCK ? "another process holds it; give the socket a directory of "
                                    "its own"
                                  : strerror(errno));
    close(fd);
    return -1;
}

/* --- What is there --- */

/* NULL: nobody listens there, because connecting is refused. Where the queue is full it fails with
 * EAGAIN (unix(7)): that owner hangs, and is alive. */
static const char *describe_owner(const struct sockaddr_un *address)
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

/* Removes what a dead process left. NULL when the path is free, else why it is not. */
static const char *remove_stale_socket(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return NULL; /* binding tells what else is wrong */
    if (!S_ISSOCK(status.st_mode))
        return "there is a file that is no socket; remove it, or choose another path";
    const char *owner = describe_owner(address);
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
    const char *taken = remove_stale_socket(&address);
    if (taken != NULL) {
        snprintf(error, error_size, "%s", taken);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_and_listen(fd, &address, mode, out) == 0)
        return fd;
    snprintf(error, error_size, "%s: %s",
             fd < 0 ? "a socket cannot be made" : "the socket cannot be made there",
             strerror(errno));
    if (fd >= 0)
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
