#include "redis_url.h"

#include "http_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int copy_part(char *out, size_t size, const char *from, size_t len)
{
    if (len >= size)
        return -1;
    memcpy(out, from, len);
    out[len] = '\0';
    return 0;
}

/* "user:password@" or ":password@", percent-encoded. */
static int parse_user(const char *text, size_t len, struct redis_url *out)
{
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon == NULL ? len : (size_t)(colon - text);
    if (copy_part(out->user, sizeof out->user, text, user_len) != 0 ||
        http_request_decode(out->user) < 0)
        return -1;
    if (colon == NULL)
        return 0;
    if (copy_part(out->password, sizeof out->password, colon + 1, len - user_len - 1) != 0)
        return -1;
    return http_request_decode(out->password) < 0 ? -1 : 0;
}

static int parse_number(const char *text, long low, long high, int *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value < low || value > high)
        return -1;
    *out = (int)value;
    return 0;
}

static const char *parse_host(const char *text, size_t len, struct redis_url *out)
{
    char copy[300];
    if (copy_part(copy, sizeof copy, text, len) != 0)
        return "the host is too long";
    char *host = copy;
    char *port = strrchr(copy, ':');
    if (copy[0] == '[') {
        char *end = strchr(copy, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0'))
            return "the host is not valid";
        port = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
        host++;
    }
    out->port = 6379;
    if (port != NULL) {
        *port++ = '\0';
        if (parse_number(port, 1, 65535, &out->port) != 0)
            return "the port must be a number from 1 to 65535";
    }
    if (host[0] == '\0')
        return "the host is missing";
    return copy_part(out->host, sizeof out->host, host, strlen(host)) == 0 ? NULL
                                                                           : "the host is too long";
}

static const char *parse_tcp(const char *rest, struct redis_url *out)
{
    const char *slash = strchr(rest, '/');
    const char *end = slash == NULL ? rest + strlen(rest) : slash;
    const char *at = memrchr(rest, '@', (size_t)(end - rest));
    out->scheme = REDIS_TCP;
    if (at != NULL) {
        if (parse_user(rest, (size_t)(at - rest), out) != 0)
            return "the user or password is not valid";
        rest = at + 1;
    }
    if (slash != NULL && slash[1] != '\0' &&
        parse_number(slash + 1, 0, 1 << 20, &out->database) != 0)
        return "the database must be a number";
    return parse_host(rest, (size_t)(end - rest), out);
}

/* "PATH" or "//user[:password]@/PATH". */
static const char *parse_unix(const char *path, struct redis_url *out)
{
    size_t authority = strncmp(path, "//", 2) == 0 ? strcspn(path + 2, "/") : 0;
    out->scheme = REDIS_UNIX;
    if (authority > 0 && path[authority + 1] == '@') {
        if (parse_user(path + 2, authority - 1, out) != 0)
            return "the user or password is not valid";
        path += authority + 2;
    }
    if (path[0] == '\0' || copy_part(out->path, 108, path, strlen(path)) != 0)
        return "the socket path is missing or longer than 107 bytes";
    return NULL;
}

const char *redis_url_parse(const char *text, struct redis_url *out)
{
    memset(out, 0, sizeof *out);
    if (strcmp(text, "embedded") == 0) {
        out->scheme = REDIS_EMBEDDED;
        return NULL;
    }
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    if (strncmp(text, "rediss://", 9) == 0) {
        out->tls = true;
        return parse_tcp(text + 9, out);
    }
    if (strncmp(text, "redis://", 8) == 0)
        return parse_tcp(text + 8, out);
    if (strncmp(text, "redis-sentinel://", 17) == 0 || strncmp(text, "redis-cluster://", 16) == 0)
        return "this version does not speak to sentinels or clusters yet; name the server itself "
               "with redis:// or rediss://";
    return "it must begin with redis://, rediss:// or unix:, or be \"embedded\"";
}

/* The channels of a database other than 0 begin with PREFIX@NUMBER: (keys.c). */
const char *redis_url_judge_prefix(const char *prefix)
{
    for (const char *at = strchr(prefix, '@'); at != NULL; at = strchr(at + 1, '@')) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits > 0 && (at[digits + 1] == '\0' || at[digits + 1] == ':'))
            return "\"@\" and a number is how the channels of another database are told apart; "
                   "choose a prefix without it";
    }
    return NULL;
}
