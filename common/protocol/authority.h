/* authority: "HOST[:PORT]" as it stands in a Host header, in an absolute target and in an origin
 * (RFC 3986 section 3.2, without user names). No I/O, no allocation. */
#ifndef YUKIZURI_PROTOCOL_AUTHORITY_H
#define YUKIZURI_PROTOCOL_AUTHORITY_H

#include <stddef.h>

enum { AUTHORITY_HOST_BYTES = 256, AUTHORITY_NO_PORT = -1 };

struct authority {
    char host[AUTHORITY_HOST_BYTES]; /* small letters; an IPv6 address in brackets, as short as it
                                        can be written; may be empty */
    int port;                        /* 0 to 65535, or AUTHORITY_NO_PORT */
};

/* Reads all of `text`. 0, or -1 when it is none (`out` is untouched). */
int authority_read(const char *text, size_t len, struct authority *out);

#endif
