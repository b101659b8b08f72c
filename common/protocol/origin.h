/* origin: which page a request comes from, "SCHEME://HOST[:PORT]" (RFC 6454), compared as parsed:
 * case, an address' spelling and the scheme's own port make no difference. No I/O, no allocation.
 */
#ifndef YUKIZURI_PROTOCOL_ORIGIN_H
#define YUKIZURI_PROTOCOL_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

enum { ORIGIN_BYTES = 300 }; /* the longest, with the NUL */

/* Reads an origin into the form that browsers send, in which two are the same when their bytes are;
 * "null" is one. 0, or -1 when it is none (`out` is untouched). */
int origin_read(const char *text, char out[ORIGIN_BYTES]);

/* Is the origin, as origin_read gave it, a page of this host ("HOST[:PORT]", as in a Host header)?
 * Without a port the host has that of the origin's scheme. Only http and https have hosts. */
bool origin_is_of_host(const char *origin, const char *host);

/* Can this setting match what a browser sends? "*" matches all. NULL; or `why`, with a sentence:
 * what is wrong with it, and what to write in its place. */
const char *origin_judge(const char *setting, char *why, size_t size);

#endif
