/* http_head: the head of a request as it was parsed, and its headers by name. */
#ifndef YUKIZURI_PROTOCOL_HTTP_HEAD_H
#define YUKIZURI_PROTOCOL_HTTP_HEAD_H

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

/* Is this its name? Compared without case. */
bool http_header_is(const struct http_header *header, const char *name);

/* The value of the header of that name; NULL when it is not there. */
const char *http_request_header(const struct http_request *request, const char *name);

size_t http_request_header_count(const struct http_request *request, const char *name);

#endif
