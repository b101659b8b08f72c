#include "protocol/authority.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { HIGHEST_PORT = 65535 };

/* Is `text` a character of a name: unreserved, a sub-delimiter, or the first of "%XX"? */
static bool is_name_char(const char *text, size_t len)
{
    if (text[0] == '%')
        return len >= 3 && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]);
    return isalnum((unsigned char)text[0]) || strchr("-._~!$&'()*+,;=", text[0]) != NULL;
}

static int read_name(const char *text, size_t len, char out[AUTHORITY_HOST_BYTES])
{
    if (len >= AUTHORITY_HOST_BYTES)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || !is_name_char(text + i, len - i))
            return -1;
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[len] = '\0';
    return 0;
}

/* What stands between the brackets. */
static int read_ipv6(const char *text, size_t len, char out[AUTHORITY_HOST_BYTES])
{
    char written[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len >= sizeof written)
        return -1;
    memcpy(written, text, len);
    written[len] = '\0';
    if (inet_pton(AF_INET6, written, &address) != 1)
        return -1;
    inet_ntop(AF_INET6, &address, written, sizeof written);
    snprintf(out, AUTHORITY_HOST_BYTES, "[%s]", written);
    return 0;
}

/* What follows the host: nothing, or ':' and digits, which may be none. */
static int read_port(const char *text, size_t len, int *out)
{
    int port = AUTHORITY_NO_PORT;
    if (len == 0) {
        *out = port;
        return 0;
    }
    if (text[0] != ':')
        return -1;
    for (size_t i = 1; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        port = (port == AUTHORITY_NO_PORT ? 0 : port * 10) + (text[i] - '0');
        if (port > HIGHEST_PORT)
            return -1;
    }
    *out = port;
    return 0;
}

int authority_read(const char *text, size_t len, struct authority *out)
{
    struct authority found;
    bool bracket = len > 0 && text[0] == '[';
    const char *end = memchr(text, bracket ? ']' : ':', len);
    size_t host_len = end == NULL ? len : (size_t)(end - text);
    if (bracket && end == NULL)
        return -1;
    int error = bracket ? read_ipv6(text + 1, host_len - 1, found.host)
                        : read_name(text, host_len, found.host);
    size_t used = host_len + bracket;
    if (error != 0 || read_port(text + used, len - used, &found.port) != 0)
        return -1;
    *out = found;
    return 0;
}
