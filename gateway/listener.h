/* listener: opens the addresses that the settings name. Part of `server`. */
#ifndef YUKIZURI_LISTENER_H
#define YUKIZURI_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

/* Opens a listening, non-blocking socket for ":PORT", "HOST:PORT", "[V6]:PORT" or "unix:PATH". TCP
 * ports are `shared` (SO_REUSEPORT) so that a new gateway can start beside the old one. Returns the
 * descriptor, or -1 with a sentence in `error`. */
int listener_open(const char *address, bool shared, char *error, size_t error_size);

/* Removes what listener_open left in the file system. */
void listener_clean(const char *address);

#endif
