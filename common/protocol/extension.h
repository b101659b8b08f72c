/* extension: reads what a client offers in Sec-WebSocket-Extensions (RFC 6455 section 9.1), and
 * takes the first permessage-deflate (RFC 7692 section 7.1) that this gateway can keep. No I/O, no
 * allocation. */
#ifndef YUKIZURI_PROTOCOL_EXTENSION_H
#define YUKIZURI_PROTOCOL_EXTENSION_H

#include "protocol/http_head.h"

enum { EXTENSION_ANSWER_BYTES = 128 };

/* 1: an offer is accepted, and `answer` is the value of the answer's Sec-WebSocket-Extensions. 0:
 * there is none, or none that can be kept: an unknown extension, a parameter that is unknown, given
 * twice or has a bad value (section 7.1), or a window of less than DEFLATE_WINDOW_BITS.
 * HTTP_REQUEST_BAD: some offer is malformed, whatever the others are. */
int extension_negotiate(const struct http_request *request, char answer[EXTENSION_ANSWER_BYTES]);

#endif
