/* about: what is kept of those who talk here, for themselves: the public part of the settings. */
#ifndef YUKIZURI_HTTP_ABOUT_H
#define YUKIZURI_HTTP_ABOUT_H

#include "http/response.h"
#include "http/site.h"

/* JSON; the page /about makes sentences of it. Open to everybody: nothing in it tells of the
 * machine, of Redis' place, or of other people. */
void about_answer(const struct http_site *site, struct response *response);

#endif
