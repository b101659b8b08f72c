/* proxy_header: the header that a proxy of TCP connections writes before the client's first byte,
 * to say who the client is (HAProxy's PROXY protocol, versions 1 and 2). Pure parsing of bytes;
 * owns nothing, and believes nobody: whether such a header is wanted is the listener's matter. */
#ifndef YUKIZURI_PROTOCOL_PROXY_HEADER_H
#define YUKIZURI_PROTOCOL_PROXY_HEADER_H

#include <stddef.h>
#include <stdint.h>

enum {
    PROXY_HEADER_V1_BYTES = 107, /* section 2.1: the longest line, with its CRLF */
    PROXY_HEADER_BYTES = 536,    /* of either version: what every path lets through in one piece */
    PROXY_HEADER_BAD = -1,
};

enum proxy_source {
    PROXY_SOURCE_ADDRESS, /* the client's, in `address` */
    PROXY_SOURCE_ITSELF,  /* LOCAL: the proxy speaks for itself */
    PROXY_SOURCE_UNKNOWN, /* a client, and the proxy does not say which */
};

struct proxy_header {
    enum proxy_source source;
    uint8_t address[16]; /* of IPv6; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2) */
};

/* Reads the header at the beginning of `data`. Returns its length; 0 when more bytes are needed; or
 * PROXY_HEADER_BAD as soon as no bytes to come could make one of it, or one of at most
 * PROXY_HEADER_BYTES. `out` is filled only with a length. What follows the addresses in version 2
 * (TLVs) is skipped unread. */
int proxy_header_parse(const uint8_t *data, size_t len, struct proxy_header *out);

#endif
