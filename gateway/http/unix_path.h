/* unix_path: a listening socket at a path of the file system. A path belongs to one process at a
 * time, however many are started at once: the path's directory is locked (flock) while a process
 * looks for a listener there, removes a dead one's socket, and listens. Part of `listen_socket`. */
#ifndef YUKIZURI_HTTP_UNIX_PATH_H
#define YUKIZURI_HTTP_UNIX_PATH_H

#include <stddef.h>
#include <sys/types.h>

/* Which file it is: another process' socket may come to be at the same path. */
struct unix_path {
    const char *path; /* the caller's */
    dev_t device;
    ino_t inode;
};

/* Listens at `path`, of at most 107 bytes, which must outlive `out`; `mode` as chmod(2) has it. At
 * no moment may more connect than it says. Waits at most 2 s while another process holds the lock.
 * The descriptor, non-blocking; or -1 with the end of a sentence in `error`. */
int unix_path_listen(const char *path, unsigned mode, struct unix_path *out, char *error,
                     size_t error_size);

/* Removes the path, if what is there is still the socket that was opened. */
void unix_path_remove(const struct unix_path *path);

#endif
