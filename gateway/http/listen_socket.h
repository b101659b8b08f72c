/* listen_socket: the listening sockets of one `addr`: opened, closed, and closed without a reset
 * for those who are connecting. Owns the descriptors. Calls nobody back. */
#ifndef YUKIZURI_HTTP_LISTEN_SOCKET_H
#define YUKIZURI_HTTP_LISTEN_SOCKET_H

#include "base/service.h"
#include "base/user.h"
#include "config/listen_address.h"
#include "http/unix_path.h"

#include <stdbool.h>
#include <stddef.h>

enum { LISTEN_SOCKET_FDS = 8 }; /* at most so many addresses of one name */

struct listen_socket {
    int fds[LISTEN_SOCKET_FDS];
    size_t count;
    bool is_given; /* by the service manager: it stays open, and connections may wait in it */
    bool is_path;
    struct unix_path path;
};

struct listen_socket_options {
    bool shared;              /* of a port: others may listen there, too (SO_REUSEPORT) */
    unsigned mode;            /* of a path */
    const struct user *owner; /* of a path; NULL: who makes it */
    const struct service_sockets *given; /* one of these serves if it has the address; NULL: none */
};

/* Opens listening, non-blocking sockets for `address`, which must outlive them: of a name each
 * address that this machine has, of which there must be one. May wait for whoever answers for
 * names. 0; or -1 with a sentence in `error`, nothing being open then. */
int listen_socket_open(const struct listen_address *address,
                       const struct listen_socket_options *options, struct listen_socket *out,
                       char *error, size_t error_size);

/* Closes the sockets; a path stays, unless it was rejected at (listen_socket_reject), and so does
 * what was given. */
void listen_socket_close(struct listen_socket *listening);

/* How many have connected and wait to be accepted: at least 1 and at most `most`, which it also is
 * where the kernel does not say (anything but TCP). For an accept too many the kernel makes a file,
 * and throws it away again. */
int listen_socket_count_waiting(int fd, int most);

/* Lets nobody new connect to a socket that will be closed soon, and loses nobody who is connecting:
 * a path is removed, if it is still one's own; of TCP, requests to connect (SYN, RFC 9293 section
 * 3.5) are dropped, which their senders repeat a second later, while handshakes that have begun
 * still complete. Closing at once would reset those, and whoever came between the last accept and
 * the close. Who connects to a given socket waits for the next process that gets it. */
void listen_socket_reject(const struct listen_socket *listening);

enum { LISTEN_SOCKET_LAST_HANDSHAKES_MS = 250 }; /* by then they are complete, or never will be */

#endif
