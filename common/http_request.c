#include "http_request.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

size_t http_request_head_len(const char *data, size_t len, size_t seen)
{
    size_t from = seen < 3 ? 0 : seen - 3;
    const char *end = memmem(data + from, len - from, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - data) + 4;
}

/* RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    char letter = (char)(c | 0x20);
    if ((letter >= 'a' && letter <= 'z') || (c >= '-' && c <= '9'))
        return c != '/';
    switch (c) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~':
        return true;
    default:
        return false;
    }
}

static bool is_token(const char *text)
{
    const char *at = text;
    while (is_token_char(*at))
        at++;
    return at > text && *at == '\0';
}

static bool has_only_visible(const char *text)
{
    for (; *text != '\0'; text++)
        if ((uint8_t)*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

static bool is_field_value(const char *text)
{
    for (; *text != '\0'; text++)
        if (((uint8_t)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static int parse_version(const char *text, int *minor)
{
    if (strncmp(text, "HTTP/", 5) != 0)
        return HTTP_REQUEST_BAD;
    if (strcmp(text, "HTTP/1.1") == 0)
        *minor = 1;
    else if (strcmp(text, "HTTP/1.0") == 0)
        *minor = 0;
    else
        return HTTP_REQUEST_VERSION;
    return 0;
}

/* "http://host/path" becomes "/path": a server must take that form too (RFC 9112 section 3.2.2). */
static char *without_authority(char *target)
{
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    char *path = strchr(target + 7, '/');
    if (path != NULL)
        return path;
    memcpy(target, "/", 2);
    return target;
}

static int parse_request_line(char *line, struct http_request *out)
{
    char *target = strchr(line, ' ');
    if (target == NULL)
        return HTTP_REQUEST_BAD;
    *target++ = '\0';
    char *version = strchr(target, ' ');
    if (version == NULL)
        return HTTP_REQUEST_BAD;
    *version++ = '\0';
    target = without_authority(target);
    if (!is_token(line) || target[0] != '/' || !has_only_visible(target))
        return HTTP_REQUEST_BAD;
    out->method = line;
    out->path = target;
    out->query = strchr(target, '?');
    if (out->query != NULL)
        *out->query++ = '\0';
    return parse_version(version, &out->minor);
}

static int parse_header(char *line, struct http_request *out)
{
    char *value = strchr(line, ':');
    if (value == NULL)
        return HTTP_REQUEST_BAD;
    size_t name_len = (size_t)(value - line);
    *value++ = '\0';
    value += strspn(value, " \t");
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        value[--len] = '\0';
    if (!is_token(line) || !is_field_value(value))
        return HTTP_REQUEST_BAD;
    if (out->header_count == HTTP_REQUEST_HEADERS)
        return HTTP_REQUEST_TOO_MANY_HEADERS;
    out->headers[out->header_count++] = (struct http_header){line, value, name_len};
    return 0;
}

/* Cuts the line at `*at` off and moves on; NULL when it does not end in CRLF or holds a stray one.
 */
static char *take_line(char **at)
{
    char *line = *at;
    char *end = strchr(line, '\n');
    if (end == NULL || end == line || end[-1] != '\r')
        return NULL;
    end[-1] = '\0';
    *at = end + 1;
    return strchr(line, '\r') == NULL ? line : NULL;
}

int http_request_parse(char *head, size_t len, struct http_request *out)
{
    if (memchr(head, '\0', len) != NULL)
        return HTTP_REQUEST_BAD;
    head[len - 1] = '\0'; /* of the empty line "\r\n": the loop below ends at its '\r' */
    char *at = head;
    out->header_count = 0;
    char *line = take_line(&at);
    int error = line == NULL ? HTTP_REQUEST_BAD : parse_request_line(line, out);
    while (error == 0 && strcmp(at, "\r") != 0) {
        line = take_line(&at);
        error = line == NULL ? HTTP_REQUEST_BAD : parse_header(line, out);
    }
    if (error != 0)
        return error;
    size_t hosts = http_request_header_count(out, "Host");
    return hosts > 1 || (hosts == 0 && out->minor == 1) ? HTTP_REQUEST_BAD : 0;
}

bool http_header_is(const struct http_header *header, const char *name)
{
    size_t len = strlen(name);
    return header->name_len == len && strncasecmp(header->name, name, len) == 0;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (http_header_is(&request->headers[i], name))
            return request->headers[i].value;
    return NULL;
}

size_t http_request_header_count(const struct http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += http_header_is(&request->headers[i], name);
    return count;
}

static bool list_has(const char *list, const char *token)
{
    size_t token_len = strlen(token);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t len = strcspn(list, ",");
        size_t bare = len;
        while (bare > 0 && (list[bare - 1] == ' ' || list[bare - 1] == '\t'))
            bare--;
        if (bare == token_len && strncasecmp(list, token, bare) == 0)
            return true;
        list += len;
    }
    return false;
}

bool http_request_has_token(const struct http_request *request, const char *name, const char *token)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (http_header_is(&request->headers[i], name) &&
            list_has(request->headers[i].value, token))
            return true;
    return false;
}

bool http_request_keeps_alive(const struct http_request *request)
{
    if (http_request_has_token(request, "Connection", "close"))
        return false;
    return request->minor == 1 || http_request_has_token(request, "Connection", "keep-alive");
}

bool http_request_has_body(const struct http_request *request)
{
    const char *length = http_request_header(request, "Content-Length");
    return http_request_header(request, "Transfer-Encoding") != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int http_request_decode(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        int high = hex_digit(in[1]);
        int low = high < 0 ? -1 : hex_digit(in[2]);
        if (low < 0 || (high == 0 && low == 0))
            return -1;
        *out++ = (char)(high * 16 + low);
        in += 2;
    }
    *out = '\0';
    return (int)(out - text);
}
