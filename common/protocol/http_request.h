/* http_request: the head of an HTTP/1.x request (RFC 9112), from bytes. No I/O, no allocation.
 *
 * Ours instead of a library's because a chat gateway answers two things evhttp cannot: 408 and 431,
 * and an upgrade without tearing a connection out of it. */
#ifndef YUKIZURI_PROTOCOL_HTTP_REQUEST_H
#define YUKIZURI_PROTOCOL_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_REQUEST_HEADERS = 64 }; /* more are answered 431 */

struct http_header {
    const char *name;
    const char *value; /* without white space at its ends */
    size_t name_len;
};

/* All strings point into the bytes that were parsed. */
struct http_request {
    const char *method;
    char *path;  /* still percent-encoded; begins with '/', or is "*" (OPTIONS) */
    char *query; /* after '?', or NULL */
    /* HOST[:PORT] that the request is for: that of the target where it has one, else what Host
     * says; may be empty; NULL when nothing names it (HTTP/1.0) */
    const char *host;
    int minor;     /* of HTTP/1.minor: 0 or 1 */
    bool has_body; /* a body follows the head */
    size_t header_count;
    struct http_header headers[HTTP_REQUEST_HEADERS];
};

enum http_request_error {
    HTTP_REQUEST_BAD = -400,
    HTTP_REQUEST_TOO_MANY_HEADERS = -431,
    HTTP_REQUEST_CODING = -501, /* a transfer coding that is not known */
    HTTP_REQUEST_VERSION = -505,
};

/* The length of the head at the start of `data`, its empty line included; 0 while it is incomplete.
 * `seen` bytes were already looked at by an earlier call. */
size_t http_request_head_len(const char *data, size_t len, size_t seen);

/* Can no request begin like this incomplete head? Then it needs no waiting for: its first byte is
 * in no method (TLS on a plain port), or a line ends without CR. `seen` as above. */
bool http_request_is_hopeless(const char *data, size_t len, size_t seen);

/* Parses a complete head (of the length that http_request_head_len told), writing NULs into it
 * and moving its target. 0, or an http_request_error. */
int http_request_parse(char *head, size_t len, struct http_request *out);

/* Is this its name? Compared without case. */
bool http_header_is(const struct http_header *header, const char *name);

/* The value of the header of that name; NULL when it is not there. */
const char *http_request_header(const struct http_request *request, const char *name);

size_t http_request_header_count(const struct http_request *request, const char *name);

/* Does the connection stay open after the answer (RFC 9112 section 9.3)? */
bool http_request_keeps_alive(const struct http_request *request);

/* Decodes %XX in place; returns the length, or -1 for a malformed or NUL escape. */
int http_request_decode(char *text);

#endif
