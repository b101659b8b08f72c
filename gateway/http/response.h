/* response: the bytes of an HTTP answer: status line, headers, body; errors as answers with a plain
 * sentence. Knows how an answer is written, and not what it is about.
 *
 * Owns the head and a body of its own making; a static body is the caller's, and is never freed.
 * Calls nobody back. In this order: response_begin, response_add_headers, one response_end_*; or
 * response_say alone. */
#ifndef YUKIZURI_HTTP_RESPONSE_H
#define YUKIZURI_HTTP_RESPONSE_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { RESPONSE_RETRY_AFTER_S = 5 };

struct response {
    struct text out;           /* the head, and a body that is not static */
    const unsigned char *body; /* static; sent after `out` */
    size_t body_len;
    size_t sent;            /* of out and body together */
    bool keep_alive;        /* the connection stays open after it: says the header Connection */
    unsigned retry_after_s; /* for 503 and 429; 0: RESPONSE_RETRY_AFTER_S */
    bool is_head;           /* it answers HEAD: with all headers and no body */
};

/* Begins the head; what was there is thrown away. */
void response_begin(struct response *response, int status);

/* Adds whole lines, each with its CR LF. */
void response_add_headers(struct response *response, const char *lines);

/* Ends the head: without a body, with a copy of one, with a static one. */
void response_end_empty(struct response *response);
void response_end_text(struct response *response, const char *type, const char *body, size_t len);
void response_end_static(struct response *response, const char *type, const unsigned char *body,
                         size_t len);

/* A whole answer: this sentence, of at most 254 bytes, as plain text that is not to be cached, with
 * the headers that the status needs. */
void response_say(struct response *response, int status, const char *sentence);

/* Writes as much as the non-blocking socket takes. 1: that was all; 0: to be called again when it
 * takes more; -1: the connection is broken. */
int response_write(struct response *response, int fd);

/* Frees what it owns: ready for the next answer, to a request that is no HEAD. */
void response_done(struct response *response);

/* Answers 503 or 429 without a response: the head alone, as far as the socket takes it at once. */
void response_send_bare(int fd, int status);

#endif
