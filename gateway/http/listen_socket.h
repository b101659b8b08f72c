/* listener: opens what an `addr` names. Part of `server`. */
#ifndef YUKIZURI_HTTP_LISTEN_SOCKET_H
#define YUKIZURI_HTTP_LISTEN_SOCKET_H

#include "config/listen_address.h"
#include "http/unix_path.h"

#include <stdbool.h>
#include <stddef.h>

enum { LISTENER_SOCKETS = 8 }; /* at most so many addresses of one name */

struct listener {
    int fds[LISTENER_SOCKETS];
    size_t count;
    bool is_path;
    struct unix_path path;
};

struct listener_options {
    bool shared;   /* of a port: others may listen there, too (SO_REUSEPORT) */
    unsigned mode; /* of a path */
};

/* Opens listening, non-blocking sockets for `address`, which must outlive them: of a name each
 * address that this machine has, of which there must be one. May wait for whoever answers for
 * names. 0; or -1 with a sentence in `error`, nothing being open then. */
int listener_open(const struct listen_address *address, const struct listener_options *options,
                  struct listener *out, char *error, size_t error_size);

/* Closes the sockets; a path stays, unless it was turned away from. */
void listener_close(struct listener *listener);

/* How many have connected and wait to be accepted: at least 1 and at most `most`, which it also is
 * where the kernel does not say (anything but TCP). For an accept too many the kernel makes a file,
 * and throws it away again. */
int listener_waiting(int fd, int most);

/* Lets nobody new come to a listener that will be closed soon, and loses nobody who is on the way:
 * a path is removed, if it is still one's own; of TCP, requests to connect (SYN, RFC 9293 section
 * 3.5) are dropped, which their senders repeat a second later, while handshakes that have begun
 * still complete. Closing at once would reset those, and whoever came between the last accept and
 * the close. */
void listener_turn_away(const struct listener *listener);

enum { LISTENER_LAST_HANDSHAKES_MS = 250 }; /* by then they are complete, or never will be */

#endif
