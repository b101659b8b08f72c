/* pages: the page and its files, which are built into the binary (http/assets.h): their coding, how
 * long a browser caches them, and what the page may load. Owns nothing, calls nobody back. */
#ifndef YUKIZURI_HTTP_PAGES_H
#define YUKIZURI_HTTP_PAGES_H

#include "http/response.h"
#include "protocol/http_request.h"

/* The page itself, the same for each room. */
void pages_answer_index(const struct http_request *request, struct response *response);

/* The file at the request's path ("/assets/app.HASH.js"), which never changes; or 404. */
void pages_answer_asset(const struct http_request *request, struct response *response);

#endif
