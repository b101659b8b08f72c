/* address: IP addresses of clients: parsing, CIDR blocks, and what of an address may be
 * shown. Pure functions over bytes; owns nothing but what it returns. */
#ifndef YUKIZURI_CONFIG_ADDRESS_H
#define YUKIZURI_CONFIG_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv6 address; IPv4 is kept as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
struct address {
    uint8_t bytes[16];
    bool local_socket; /* a unix-socket peer: has no IP address */
};

/* A block of addresses: those whose first `bits` bits agree with `base`. */
struct address_block {
    struct address base;
    unsigned bits; /* 0 to 128 */
};

enum address_show { ADDRESS_FULL, ADDRESS_MASKED, ADDRESS_CLOAK, ADDRESS_OFF };

enum { ADDRESS_TEXT_BYTES = 64 }; /* enough for any spelling, with the NUL */

/* Reads an address as in "192.0.2.1", "2001:db8::1" or "[2001:db8::1]", with an optional port for
 * IPv4 and the bracketed form, and for IPv6 an optional zone, "fe80::1%eth0", which is dropped. 0,
 * or -1 when it is none. */
int address_parse(const char *text, size_t len, struct address *out);

/* Reads "192.0.2.0/24", "2001:db8::/32" or a single address. 0, or -1 when it is none. */
int address_block_parse(const char *text, struct address_block *out);

/* The address of a peer as accept(2) gave it. */
struct address address_of_peer(const struct sockaddr *peer);

bool address_in_block(const struct address *address, const struct address_block *block);
bool address_in_blocks(const struct address *address, const struct address_block *blocks, size_t n);
bool address_is_ipv4(const struct address *address);

/* Loopback (127.0.0.0/8, ::1) or a unix-socket peer. */
bool address_is_loopback(const struct address *address);

/* The address in full, "local" for a unix-socket peer. */
void address_format(const struct address *address, char out[ADDRESS_TEXT_BYTES]);

/* What may be shown: full; masked (the last IPv4 part as x, an IPv6 /48); a keyed hash that stays
 * the same for `day`; or nothing (""). */
void address_display(const struct address *address, enum address_show show, const uint8_t key[32],
                     int64_t day, char out[ADDRESS_TEXT_BYTES]);

/* An opaque word for the address' unit (address_unit), the same wherever the key is the same. It
 * tells that two people may have one address, and not which: one in 65,536 others has the same.
 * "" for a unix-socket peer, whose address nobody knows. */
enum { ADDRESS_MARK_BYTES = 4 };
void address_mark(const struct address *address, const uint8_t key[32],
                  char out[ADDRESS_MARK_BYTES]);

/* The unit in which connections per address are counted: /32 of IPv4, /64 of IPv6. */
struct address address_unit(const struct address *address);

#endif
