#include "config/redis_url.h"

#include "protocol/http_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SOCKET_PATH_BYTES = 108 }; /* sun_path with its NUL (unix(7)) */

static int copy_part(char *out, size_t size, const char *from, size_t len)
{
    if (len >= size)
        return -1;
    memcpy(out, from, len);
    out[len] = '\0';
    return 0;
}

static const char *copy_decoded(char *out, size_t size, const char *from, size_t len)
{
    if (copy_part(out, size, from, len) != 0)
        return "the user or password is too long: at most 127 and 255 bytes";
    if (http_request_decode(out) < 0)
        return "the user or password has a '%' that two hex digits do not follow; write it as %25";
    return NULL;
}

/* "user:password@" or ":password@", percent-encoded. */
static const char *parse_user(const char *text, size_t len, struct redis_url *out)
{
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon == NULL ? len : (size_t)(colon - text);
    const char *wrong = copy_decoded(out->user, sizeof out->user, text, user_len);
    if (wrong != NULL || colon == NULL)
        return wrong;
    return copy_decoded(out->password, sizeof out->password, colon + 1, len - user_len - 1);
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

/* "fe80::1%25eth0" is "fe80::1%eth0" (RFC 6874, section 2); many write that itself. */
static void decode_zone(char *host)
{
    char *zone = strstr(host, "%25");
    if (zone != NULL)
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
}

bool redis_url_is_host(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || strchr("\x7f@,;?#\"'<>\\", *at) != NULL)
            return false;
    return name[0] != '\0';
}

static const char *parse_host(const char *text, size_t len, int default_port,
                              struct redis_host *out)
{
    char copy[300];
    if (copy_part(copy, sizeof copy, text, len) != 0)
        return "the host is too long";
    static const char brackets[] =
        "the host is not valid: an IPv6 address stands in brackets, such as [::1]:6379";
    char *host = copy;
    char *port = strrchr(copy, ':');
    if (copy[0] == '[') {
        char *end = strchr(copy, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0'))
            return brackets;
        port = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
        host++;
        decode_zone(host);
    }
    if (copy[0] != '[' && port != strchr(copy, ':'))
        return brackets;
    out->port = default_port;
    if (port != NULL) {
        *port++ = '\0';
        if (parse_number(port, 1, 65535, &out->port) != 0)
            return "the port must be a number from 1 to 65535";
    }
    if (host[0] == '\0')
        return "a host is missing: write HOST or HOST:PORT";
    if (!redis_url_is_host(host))
        return "the host is not valid: it has blanks or signs that no host name has";
    return copy_part(out->name, sizeof out->name, host, strlen(host)) == 0 ? NULL
                                                                           : "the host is too long";
}

/* A password may hold what parts a URL. It is then told what to do, and not that the host is odd.
 */
static bool has_bare_slash(const char *rest, const char *slash)
{
    return slash != NULL && strchr(slash, '@') != NULL && memchr(rest, ':', (size_t)(slash - rest));
}

/* "HOST[:PORT],HOST[:PORT]" */
static const char *parse_hosts(const char *text, size_t len, int default_port,
                               struct redis_url *out)
{
    const char *end = text + len;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *host_end = comma == NULL ? end : comma;
        if (out->host_count == REDIS_URL_HOSTS)
            return "there are too many hosts: 16 are enough to find all others";
        const char *wrong = parse_host(text, (size_t)(host_end - text), default_port,
                                       &out->hosts[out->host_count++]);
        if (wrong != NULL || comma == NULL)
            return wrong;
        text = comma + 1;
    }
}

static const char *parse_database(const char *text, struct redis_url *out)
{
    if (text[0] != '\0' && parse_number(text, 0, 1 << 20, &out->database) != 0)
        return "what follows the host must be the number of a database, such as /0";
    return NULL;
}

/* "NAME[/db]"; names as Sentinel takes them. */
static const char *parse_service(const char *text, struct redis_url *out)
{
    size_t len = strcspn(text, "/");
    if (len == 0)
        return "the name of the master is missing: write redis-sentinel://HOST:PORT,HOST:PORT/NAME "
               "as in \"sentinel monitor NAME\"";
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") < len)
        return "the name of the master has a sign that Sentinel does not take: letters, digits and "
               "\".-_\"";
    if (copy_part(out->service, sizeof out->service, text, len) != 0)
        return "the name of the master is too long: at most 127 bytes";
    return parse_database(text[len] == '/' ? text + len + 1 : "", out);
}

static const char *parse_several(const char *hosts, size_t len, const char *path,
                                 struct redis_url *out)
{
    bool sentinel = out->scheme == REDIS_SENTINEL;
    const char *wrong = parse_hosts(hosts, len, sentinel ? 26379 : 6379, out);
    if (wrong != NULL)
        return wrong;
    if (sentinel)
        return parse_service(path, out);
    if (path[0] != '\0' && strcmp(path, "0") != 0)
        return "a cluster has the database 0 alone";
    return NULL;
}

static const char *parse_one(const char *host, size_t len, const char *path, struct redis_url *out)
{
    struct redis_host one;
    if (memchr(host, ',', len) != NULL)
        return "several hosts are for redis-sentinel://HOST,HOST/NAME or redis-cluster://HOST,HOST";
    const char *wrong = parse_database(path, out);
    if (wrong == NULL)
        wrong = parse_host(host, len, 6379, &one);
    if (wrong != NULL)
        return wrong;
    *out = redis_url_of_server(out, one.name, one.port);
    return NULL;
}

/* What follows "SCHEME://". */
static const char *parse_tcp(const char *rest, struct redis_url *out)
{
    const char *slash = strchr(rest, '/');
    if (has_bare_slash(rest, slash))
        return "a '/' in the user or password is written as %2F ('@' as %40, ':' as %3A, '%' as "
               "%25)";
    const char *end = slash == NULL ? rest + strlen(rest) : slash;
    const char *path = slash == NULL ? "" : slash + 1;
    const char *at = memrchr(rest, '@', (size_t)(end - rest));
    if (at != NULL) {
        const char *wrong = parse_user(rest, (size_t)(at - rest), out);
        if (wrong != NULL)
            return wrong;
        rest = at + 1;
    }
    return out->scheme == REDIS_TCP ? parse_one(rest, (size_t)(end - rest), path, out)
                                    : parse_several(rest, (size_t)(end - rest), path, out);
}

/* "PATH" or "//user[:password]@/PATH". */
static const char *parse_unix(const char *path, struct redis_url *out)
{
    size_t authority = strncmp(path, "//", 2) == 0 ? strcspn(path + 2, "/") : 0;
    out->scheme = REDIS_UNIX;
    if (authority > 0 && path[authority + 1] == '@') {
        const char *wrong = parse_user(path + 2, authority - 1, out);
        if (wrong != NULL)
            return wrong;
        path += authority + 2;
    }
    if (path[0] == '\0')
        return "the socket's path is missing: write unix:PATH or unix://USER@/PATH";
    if (copy_part(out->path, SOCKET_PATH_BYTES, path, strlen(path)) != 0)
        return "the path is too long: a unix socket's has 107 bytes at most";
    return NULL;
}

/* Of schemes case does not count (RFC 3986, section 3.1). */
static bool begins_with(const char *text, const char *scheme)
{
    return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

static const struct {
    const char *text;
    enum redis_scheme scheme;
    bool tls;
} tcp_schemes[] = {
    {"redis://", REDIS_TCP, false},
    {"rediss://", REDIS_TCP, true},
    {"redis-sentinel://", REDIS_SENTINEL, false},
    {"rediss-sentinel://", REDIS_SENTINEL, true},
    {"redis-cluster://", REDIS_CLUSTER, false},
    {"rediss-cluster://", REDIS_CLUSTER, true},
};

const char *redis_url_parse(const char *text, struct redis_url *out)
{
    memset(out, 0, sizeof *out);
    if (strcmp(text, "embedded") == 0) {
        out->scheme = REDIS_EMBEDDED;
        return NULL;
    }
    if (begins_with(text, "unix:"))
        return parse_unix(text + 5, out);
    for (size_t i = 0; i < sizeof tcp_schemes / sizeof *tcp_schemes; i++) {
        if (!begins_with(text, tcp_schemes[i].text))
            continue;
        out->scheme = tcp_schemes[i].scheme;
        out->tls = tcp_schemes[i].tls;
        return parse_tcp(text + strlen(tcp_schemes[i].text), out);
    }
    return "it must begin with redis://, redis-sentinel://, redis-cluster:// (with TLS: rediss…) "
           "or "
           "unix:, or be \"embedded\"";
}

struct redis_url redis_url_of_server(const struct redis_url *url, const char *host, int port)
{
    struct redis_url server = *url;
    server.scheme = REDIS_TCP;
    server.host_count = 0;
    server.service[0] = '\0';
    if (copy_part(server.host, sizeof server.host, host, strlen(host)) != 0)
        server.host[0] = '\0';
    server.port = port;
    return server;
}

const char *redis_url_first_host(const struct redis_url *url)
{
    return url->host_count > 0 ? url->hosts[0].name : url->host;
}

/* --- For people --- */

static const char *scheme_of(const struct redis_url *url)
{
    for (size_t i = 0; i < sizeof tcp_schemes / sizeof *tcp_schemes; i++)
        if (tcp_schemes[i].scheme == url->scheme && tcp_schemes[i].tls == url->tls)
            return tcp_schemes[i].text;
    return "";
}

void redis_url_format(const struct redis_url *url, char out[REDIS_URL_TEXT_BYTES])
{
    const char *host = redis_url_first_host(url);
    int port = url->host_count > 0 ? url->hosts[0].port : url->port;
    bool v6 = strchr(host, ':') != NULL;
    if (url->scheme == REDIS_UNIX || url->scheme == REDIS_EMBEDDED) {
        snprintf(out, REDIS_URL_TEXT_BYTES, "unix:%s", url->path);
        return;
    }
    int len = snprintf(out, REDIS_URL_TEXT_BYTES, "%s%s%s%s:%d%s", scheme_of(url), v6 ? "[" : "",
                       host, v6 ? "]" : "", port, url->host_count > 1 ? ",…" : "");
    if (url->service[0] != '\0')
        len += snprintf(out + len, REDIS_URL_TEXT_BYTES - (size_t)len, "/%s", url->service);
    if (url->database != 0)
        snprintf(out + len, REDIS_URL_TEXT_BYTES - (size_t)len, "/%d", url->database);
}

/* The channels of a database other than 0 begin with PREFIX@NUMBER: (broker/topic.c). */
const char *redis_url_judge_prefix(const char *prefix)
{
    for (const char *at = strchr(prefix, '@'); at != NULL; at = strchr(at + 1, '@')) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits > 0 && (at[digits + 1] == '\0' || at[digits + 1] == ':'))
            return "has \"@\" and a number, by which the channels of another database are told "
                   "apart; choose a prefix without it";
    }
    return NULL;
}
