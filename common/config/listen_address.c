#include "config/listen_address.h"

#include "config/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char no_port[] =
    "has no port: write :PORT, HOST:PORT, [V6]:PORT or unix:PATH, such as :8080";

static const char *parse_port(const char *text, int *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0' || digits > 5 || strtol(text, NULL, 10) > 65535)
        return "has no port: behind the last colon stands a number from 1 to 65535";
    *out = (int)strtol(text, NULL, 10);
    return NULL;
}

static const char *copy_host(const char *text, size_t len, struct listen_address *out)
{
    if (len >= sizeof out->host)
        return "has too long a host name: at most 253 characters";
    memcpy(out->host, text, len);
    out->host[len] = '\0';
    out->kind = LISTEN_HOST;
    return NULL;
}

/* Of an address with a zone ("fe80::1%eth0", RFC 4007) the system is asked what it means. */
static bool is_v6(const char *host)
{
    struct in6_addr address;
    char bare[LISTEN_HOST_BYTES];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "%"), host);
    return inet_pton(AF_INET6, bare, &address) == 1;
}

static const char *parse_bracketed(const char *text, struct listen_address *out)
{
    const char *end = strchr(text, ']');
    if (end == NULL || end[1] != ':')
        return "is not [V6]:PORT, such as [::1]:8080";
    const char *wrong = copy_host(text + 1, (size_t)(end - text) - 1, out);
    if (wrong == NULL && !is_v6(out->host))
        wrong = "has no IPv6 address between its brackets";
    return wrong != NULL ? wrong : parse_port(end + 2, &out->port);
}

/* Host names have letters, digits, dashes and dots (RFC 1123, section 2.1); some systems' also '_'.
 * What looks like an IPv4 address has to be one: as a name it could only be misunderstood. */
static const char *judge_host(struct listen_address *out)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    struct in_addr v4;
    if (strchr(out->host, ':') != NULL && is_v6(out->host))
        return "is an IPv6 address without brackets: write [V6]:PORT, such as [::1]:8080";
    if (out->host[strspn(out->host, name)] != '\0')
        return "is not :PORT, HOST:PORT, [V6]:PORT or unix:PATH";
    out->is_name = inet_pton(AF_INET, out->host, &v4) != 1;
    if (out->is_name && out->host[strspn(out->host, "0123456789.")] == '\0')
        return "has no IPv4 address before the port: four numbers up to 255, such as "
               "127.0.0.1:8080";
    return NULL;
}

static const char *parse_path(const char *path, struct listen_address *out)
{
    out->kind = LISTEN_UNIX;
    if (path[0] == '\0')
        return "has no path: write unix:PATH, such as unix:/run/yukizuri/gateway.sock";
    if (strlen(path) >= sizeof out->path)
        return "has too long a path: a unix socket's has 107 bytes at most";
    memcpy(out->path, path, strlen(path) + 1);
    return NULL;
}

static const char *parse_place(const char *text, struct listen_address *out)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_path(text + 5, out);
    if (text[0] == '[')
        return parse_bracketed(text, out);
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return no_port;
    if (is_v6(text))
        return "is an IPv6 address without a port: write [V6]:PORT, such as [::1]:8080";
    out->kind = LISTEN_EVERYWHERE;
    const char *wrong = NULL;
    if (colon != text)
        wrong = copy_host(text, (size_t)(colon - text), out);
    if (wrong == NULL && colon != text)
        wrong = judge_host(out);
    return wrong != NULL ? wrong : parse_port(colon + 1, &out->port);
}

static const char unknown_option[] =
    "has an unknown option: behind the address stands ?proxy=on, ?proxy=off or nothing";

/* Does a path end with one? It may have other question marks. */
static bool has_option(const char *path)
{
    const char *last = strrchr(path, '?');
    return last != NULL && strncmp(last, "?proxy=", 7) == 0;
}

/* The options begin at the last '?'. NULL: there are none. */
static const char *find_options(const char *text)
{
    bool path = strncmp(text, "unix:", 5) == 0;
    return path && !has_option(text) ? NULL : strrchr(text, '?');
}

const char *listen_address_parse(const char *text, struct listen_address *out)
{
    char place[LISTEN_TEXT_BYTES];
    const char *options = find_options(text);
    memset(out, 0, sizeof *out);
    if (options == NULL)
        return parse_place(text, out);
    if (strcmp(options, "?proxy=on") != 0 && strcmp(options, "?proxy=off") != 0)
        return unknown_option;
    if ((size_t)(options - text) >= sizeof place)
        return "is too long";
    memcpy(place, text, (size_t)(options - text));
    place[options - text] = '\0';
    const char *wrong = parse_place(place, out);
    if (wrong == NULL && strchr(out->host, '?') != NULL)
        return unknown_option;
    out->proxied = strcmp(options, "?proxy=on") == 0;
    return wrong;
}

void listen_address_format(const struct listen_address *address, char out[LISTEN_TEXT_BYTES])
{
    bool v6 = strchr(address->host, ':') != NULL;
    const char *options = address->proxied ? "?proxy=on" : "";
    if (address->kind == LISTEN_UNIX)
        snprintf(out, LISTEN_TEXT_BYTES, "unix:%s%s", address->path,
                 !address->proxied && has_option(address->path) ? "?proxy=off" : options);
    else
        snprintf(out, LISTEN_TEXT_BYTES, "%s%s%s:%d%s", v6 ? "[" : "", address->host, v6 ? "]" : "",
                 address->port, options);
}

bool listen_address_is_same(const struct listen_address *one, const struct listen_address *other)
{
    return one->kind == other->kind && one->port == other->port &&
           strcasecmp(one->host, other->host) == 0 && strcmp(one->path, other->path) == 0;
}

static bool is_localhost(const char *host)
{
    size_t len = strlen(host);
    if (len > 0 && host[len - 1] == '.')
        len--;
    return len == 9 && strncasecmp(host, "localhost", 9) == 0;
}

bool listen_address_is_local(const struct listen_address *address)
{
    struct address ip;
    if (address->kind == LISTEN_UNIX)
        return true;
    if (address->kind == LISTEN_EVERYWHERE)
        return false;
    if (address->is_name)
        return is_localhost(address->host);
    return address_parse(address->host, strlen(address->host), &ip) == 0 &&
           address_is_loopback(&ip);
}
