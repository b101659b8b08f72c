/* http_request: the head of an HTTP/1.x request (RFC 9112), from bytes. No I/O, no allocation.
 *
 * Ours instead of a library's because a chat gateway answers two things evhttp cannot: 408 and 431,
 * and an upgrade without tearing a connection out of it. */
#ifndef YUKIZURI_PROTOCOL_HTTP_REQUEST_H
#define YUKIZURI_PROTOCOL_HTTP_REQUEST_H

#include "protocol/http_head.h"

/* The length of the head at the start of `data`, its empty line included; 0 while it is incomplete.
 * `seen` bytes were already looked at by an earlier call. */
size_t http_request_head_len(const char *data, size_t len, size_t seen);

/* Can no request begin like this incomplete head? Then it needs no waiting for: a byte is where its
 * kind may not be (TLS on a plain port; a space in a field's name, or before it), or a line ends
 * without CR, or is no request line or no field. What http_request_parse refuses for another reason
 * than 400 is not hopeless. `seen` as above. */
bool http_request_is_hopeless(const char *data, size_t len, size_t seen);

/* Parses a complete head (of the length that http_request_head_len told), writing NULs into it
 * and moving its target. 0, or an http_request_error. */
int http_request_parse(char *head, size_t len, struct http_request *out);

/* Does the connection stay open after the answer (RFC 9112 section 9.3)? */
bool http_request_keeps_alive(const struct http_request *request);

/* Decodes %XX in place; returns the length, or -1 for a malformed or NUL escape. */
int http_request_decode(char *text);

#endif
