/* listener: opens the addresses that the settings name. Part of `server`. */
#ifndef YUKIZURI_LISTENER_H
#define YUKIZURI_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

/* Opens a listening, non-blocking socket for ":PORT", "HOST:PORT", "[V6]:PORT" or "unix:PATH". TCP
 * ports are `shared` (SO_REUSEPORT) so that a new gateway can start beside the old one. Returns the
 * descriptor, or -1 with a sentence in `error`. */
int listener_open(const char *address, bool shared, char *error, size_t error_size);

/* How many have connected and wait to be accepted: at least 1 and at most `most`, which it also is
 * where the kernel does not say (anything but TCP). For an accept too many the kernel makes a file,
 * and throws it away again. */
int listener_waiting(int fd, int most);

/* Lets nobody new come to a listener that will be closed soon, and loses nobody who is on the way:
 * a path is removed; of TCP, requests to connect (SYN, RFC 9293 section 3.5) are dropped, which
 * their senders repeat a second later, while handshakes that have begun still complete. Closing at
 * once would reset those, and whoever came between the last accept and the close. */
void listener_turn_away(int fd, const char *address);

enum { LISTENER_LAST_HANDSHAKES_MS = 250 }; /* by then they are complete, or never will be */

#endif
