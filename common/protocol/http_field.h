/* http_field: what header fields of a request mean whose values are more than a word: lists,
 * weights, the length of a body (RFC 9110 sections 5.6.1, 8.6 and 12.4.2; RFC 9112 section 6). No
 * I/O, no allocation. */
#ifndef YUKIZURI_PROTOCOL_HTTP_FIELD_H
#define YUKIZURI_PROTOCOL_HTTP_FIELD_H

#include "protocol/http_head.h"

/* A walk over the elements of a list, through all headers of that name. Begins as {request, name}.
 */
struct http_field_walk {
    const struct http_request *request;
    const char *name;
    size_t header;  /* the one it is in */
    const char *at; /* where it goes on in it; NULL: at its beginning */
};

/* An element without white space at its ends; points into the request. */
struct http_field_element {
    const char *text;
    size_t len;
};

/* The next element that is not empty; false at the end. */
bool http_field_next(struct http_field_walk *walk, struct http_field_element *out);

/* Is `token` one of the elements? Compared without case. */
bool http_field_has(const struct http_request *request, const char *name, const char *token);

/* The weight that a list such as Accept-Encoding gives to `value`, in thousandths: 0 is a refusal,
 * -1 when it is not there. Compared without case; an element with a malformed weight is not there.
 */
int http_field_weight(const struct http_request *request, const char *name, const char *value);

/* Is gzip an answer's best coding for whoever asks (RFC 9110 section 12.5.3)? */
bool http_field_prefers_gzip(const struct http_request *request);

/* Is brotli (RFC 7932)? Only for whoever names it. */
bool http_field_prefers_brotli(const struct http_request *request);

/* Which of these `n` languages ("ja", also for "ja-JP") Accept-Language gives the highest weight
 * (RFC 9110 section 12.5.4), of equal ones the one that it names first; the first of the languages
 * when it names none. */
const char *http_field_language(const struct http_request *request, const char *const languages[],
                                size_t n);

/* Does a body follow? 0, 1, or an http_request_error where nobody could tell for sure where it
 * ends: a length that is no number or is given twice, a length beside a transfer coding, or a
 * coding other than `chunked`. */
int http_field_body(const struct http_request *request);

#endif
