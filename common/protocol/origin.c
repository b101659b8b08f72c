#include "protocol/origin.h"

#include "protocol/authority.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SCHEME_BYTES = 32 };

struct parts {
    char scheme[SCHEME_BYTES];
    struct authority authority;
};

static int default_port(const char *scheme)
{
    if (strcmp(scheme, "http") == 0)
        return 80;
    return strcmp(scheme, "https") == 0 ? 443 : AUTHORITY_NO_PORT;
}

static int read_scheme(const char *text, size_t len, char out[SCHEME_BYTES])
{
    if (len == 0 || len >= SCHEME_BYTES || !isalpha((unsigned char)text[0]))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("+-.", text[i]) == NULL)
            return -1;
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[len] = '\0';
    return 0;
}

static int read_parts(const char *text, struct parts *out)
{
    const char *colon = strstr(text, "://");
    if (colon == NULL || read_scheme(text, (size_t)(colon - text), out->scheme) != 0 ||
        authority_read(colon + 3, strlen(colon + 3), &out->authority) != 0)
        return -1;
    if (out->authority.port == default_port(out->scheme))
        out->authority.port = AUTHORITY_NO_PORT;
    /* of a file some browsers say so, without a host */
    return out->authority.host[0] == '\0' && strcmp(out->scheme, "file") != 0 ? -1 : 0;
}

int origin_read(const char *text, char out[ORIGIN_BYTES])
{
    struct parts parts;
    if (strcmp(text, "null") == 0) {
        memcpy(out, "null", sizeof "null");
        return 0;
    }
    if (read_parts(text, &parts) != 0)
        return -1;
    int len = snprintf(out, ORIGIN_BYTES, "%s://%s", parts.scheme, parts.authority.host);
    if (parts.authority.port != AUTHORITY_NO_PORT)
        snprintf(out + len, ORIGIN_BYTES - (size_t)len, ":%d", parts.authority.port);
    return 0;
}

bool origin_is_of_host(const char *origin, const char *host)
{
    struct parts page;
    struct authority named;
    if (read_parts(origin, &page) != 0 || authority_read(host, strlen(host), &named) != 0)
        return false;
    int port = default_port(page.scheme);
    if (port == AUTHORITY_NO_PORT)
        return false;
    if (named.port == port)
        named.port = AUTHORITY_NO_PORT;
    return strcmp(page.authority.host, named.host) == 0 && page.authority.port == named.port;
}

/* Pages never have the scheme of their WebSocket. */
static const char *page_scheme(const char *scheme)
{
    if (strcmp(scheme, "ws") == 0)
        return "http";
    return strcmp(scheme, "wss") == 0 ? "https" : scheme;
}

/* The origin that somebody meant who wrote a page's address, a WebSocket's, or a host alone. */
static int guess(const char *setting, char out[ORIGIN_BYTES])
{
    char written[ORIGIN_BYTES];
    char scheme[SCHEME_BYTES] = "https";
    const char *colon = strstr(setting, "://");
    const char *host = colon == NULL ? setting : colon + 3;
    size_t len = strcspn(host, "/?#");
    if (colon != NULL && read_scheme(setting, (size_t)(colon - setting), scheme) != 0)
        return -1;
    if (len == 0 || len > AUTHORITY_HOST_BYTES || memchr(host, '*', len) != NULL)
        return -1;
    snprintf(written, sizeof written, "%s://%.*s", page_scheme(scheme), (int)len, host);
    return origin_read(written, out);
}

static bool is_as_sent(const char *setting)
{
    char sent[ORIGIN_BYTES];
    return origin_read(setting, sent) == 0 && strcasecmp(setting, sent) == 0 &&
           strchr(setting, '*') == NULL && strncmp(sent, "ws://", 5) != 0 &&
           strncmp(sent, "wss://", 6) != 0;
}

const char *origin_judge(const char *setting, char *why, size_t size)
{
    char meant[ORIGIN_BYTES];
    if (strcmp(setting, "*") == 0 || is_as_sent(setting))
        return NULL;
    if (guess(setting, meant) == 0)
        snprintf(why, size,
                 "\"%.100s\" would match no page: browsers send SCHEME://HOST or "
                 "SCHEME://HOST:PORT, without a path and without the scheme's own port; write %s",
                 setting, meant);
    else
        snprintf(why, size,
                 "\"%.100s\" would match no page; write SCHEME://HOST or SCHEME://HOST:PORT, such "
                 "as https://chat.example.com, once for each host (one of other letters by its "
                 "xn-- name), or * for any",
                 setting);
    return why;
}
