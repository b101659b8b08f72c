/* listen_address: where to listen, as the settings say it. Pure parsing; resolves no name. */
#ifndef YUKIZURI_CONFIG_LISTEN_ADDRESS_H
#define YUKIZURI_CONFIG_LISTEN_ADDRESS_H

#include <stdbool.h>

enum listen_kind { LISTEN_EVERYWHERE, LISTEN_HOST, LISTEN_UNIX };

enum {
    LISTEN_HOST_BYTES = 256,
    LISTEN_PATH_BYTES = 108, /* sun_path with its NUL (unix(7)) */
    LISTEN_TEXT_BYTES = 288, /* enough for any spelling, with the NUL */
};

struct listen_address {
    enum listen_kind kind;
    char host[LISTEN_HOST_BYTES]; /* LISTEN_HOST: a name or an IP address, without brackets */
    bool is_name;                 /* the host is one; what it stands for is not known yet */
    int port;                     /* all but LISTEN_UNIX; 0: whichever is free */
    char path[LISTEN_PATH_BYTES]; /* LISTEN_UNIX */
    bool proxied;                 /* who connects begins with a PROXY header */
};

/* Reads ":PORT", "HOST:PORT", "[V6]:PORT" or "unix:PATH", each with "?proxy=on" or "?proxy=off"
 * behind it or not. NULL; or the end of a sentence (static)
 * that says what is wrong, `out` then being unspecified. */
const char *listen_address_parse(const char *text, struct listen_address *out);

/* As listen_address_parse reads it. */
void listen_address_format(const struct listen_address *address, char out[LISTEN_TEXT_BYTES]);

/* Is it the same place, though perhaps in another spelling, or with other options? */
bool listen_address_is_same(const struct listen_address *one, const struct listen_address *other);

/* Can nobody come from another machine? A path, 127.0.0.0/8, ::1, and the name localhost (RFC 6761,
 * section 6.3); of other names it is not known. */
bool listen_address_is_local(const struct listen_address *address);

#endif
