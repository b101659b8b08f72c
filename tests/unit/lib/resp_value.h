/* resp_value: answers of Redis (RESP2), written as a test likes to read them. */
#ifndef YUKIZURI_RESP_VALUE_H
#define YUKIZURI_RESP_VALUE_H

#include <stddef.h>

struct evbuffer;

/* Adds one value in RESP: 'text' or "text" (without escapes), a whole number, null, [value, ...],
 * +STATUS or -ERROR up to the end of `text`. Returns what is behind it; anything else fails the
 * running test. */
const char *resp_add_value(struct evbuffer *out, const char *text);

void resp_add_bulk(struct evbuffer *out, const void *data, size_t len);

#endif
