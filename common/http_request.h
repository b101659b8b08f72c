/* http_request: the head of an HTTP/1.x request (RFC 9112), from bytes. No I/O, no allocation.
 *
 * Ours instead of a library's because a chat gateway answers two things evhttp cannot: 408 and 431,
 * and an upgrade without tearing a connection out of it. */
#ifndef YUKIZURI_HTTP_REQUEST_H
#define YUKIZURI_HTTP_REQUEST_H

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
    char *path;  /* still percent-encoded */
    char *query; /* after '?', or NULL */
    int minor;   /* of HTTP/1.minor */
    size_t header_count;
    struct http_header headers[HTTP_REQUEST_HEADERS];
};

enum http_request_error {
    HTTP_REQUEST_BAD = -400,
    HTTP_REQUEST_TOO_MANY_HEADERS = -431,
    HTTP_REQUEST_VERSION = -505,
};

/* The length of the head at the start of `data`, its empty line included; 0 while it is incomplete.
 * `seen` bytes were already looked at by an earlier call. */
size_t http_request_head_len(const char *data, size_t len, size_t seen);

/* Parses a complete head (of the length that http_request_head_len told), writing NULs into it.
 * 0, or an http_request_error. */
int http_request_parse(char *head, size_t len, struct http_request *out);

/* Is this its name? Compared without case. */
bool http_header_is(const struct http_header *header, const char *name);

/* The value of the header of that name; NULL when it is not there. */
const char *http_request_header(const struct http_request *request, const char *name);

size_t http_request_header_count(const struct http_request *request, const char *name);

/* Is `token` one of the comma-separated values of the header (RFC 9110 section 5.6.1)? Compared
 * without case, over all headers of that name. */
bool http_request_has_token(const struct http_request *request, const char *name,
                            const char *token);

/* Does the connection stay open after the answer (RFC 9112 section 9.3)? */
bool http_request_keeps_alive(const struct http_request *request);

/* Does a body follow, or claim to? */
bool http_request_has_body(const struct http_request *request);

/* Decodes %XX in place; returns the length, or -1 for a malformed or NUL escape. */
int http_request_decode(char *text);

#endif
