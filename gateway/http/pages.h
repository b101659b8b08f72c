/* pages: the page and its files, which are built into the binary (http/assets.h): in which language
 * and coding, for how long a browser keeps them, and what a page may load.
 *
 * Owns the pages that have figures from the settings in them, which are written once. Calls nobody
 * back. */
#ifndef YUKIZURI_HTTP_PAGES_H
#define YUKIZURI_HTTP_PAGES_H

#include "config/config.h"
#include "http/response.h"
#include "protocol/http_request.h"

struct pages;

/* Reads the settings only here. Must outlive all responses. */
struct pages *pages_new(const struct config *config);

void pages_free(struct pages *pages); /* NULL is fine */

/* The page NAME.html in the language of the query (lang=ja), or else of Accept-Language; English
 * where neither tells. 304 for a browser that has it. */
void pages_answer(const struct pages *pages, const char *name, const struct http_request *request,
                  struct response *response);

/* The file at the request's path ("/assets/app.HASH.js"), which never changes; or 404. */
void pages_answer_asset(const struct pages *pages, const struct http_request *request,
                        struct response *response);

/* The service worker: a file that has to have a path without a hash, and is asked for anew each
 * time. */
void pages_answer_worker(const struct pages *pages, const struct http_request *request,
                         struct response *response);

/* 404: a small page for a browser, and `sentence` for everybody else. */
void pages_answer_missing(const struct pages *pages, const struct http_request *request,
                          struct response *response, const char *sentence);

#endif
