#include "protocol/http_request.h"

#include "protocol/authority.h"
#include "protocol/http_field.h"

#include <ctype.h>
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
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_visible(char c)
{
    return (uint8_t)c > ' ' && c != 0x7f;
}

static bool is_field_value_char(char c)
{
    return is_visible(c) || c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t span(const char *text, size_t len, bool (*is_of)(char))
{
    size_t at = 0;
    while (at < len && is_of(text[at]))
        at++;
    return at;
}

/* --- The beginning of a head --- */

/* A line without its end, or the beginning of one. */
struct line {
    const char *text;
    size_t len;
    size_t judged; /* of them; they are not looked at again: a long line may come byte by byte */
    bool whole;
};

/* Takes off so many bytes. */
static void skip(struct line *line, size_t len)
{
    line->text += len;
    line->len -= len;
    line->judged -= len < line->judged ? len : line->judged;
}

/* As span, of the line; no character of the part is `after`. */
static size_t span_part(const struct line *line, bool (*is_of)(char), char after)
{
    const char *end = memchr(line->text, after, line->judged);
    if (end != NULL)
        return (size_t)(end - line->text);
    return line->judged + span(line->text + line->judged, line->len - line->judged, is_of);
}

/* Takes off a part of such characters that is not empty, and the one after it; false when the line
 * cannot go on like that. With nothing left, it may end there if it is not whole. */
static bool take_part(struct line *line, bool (*is_of)(char), char after)
{
    size_t len = span_part(line, is_of, after);
    bool ends = len == line->len;
    if (ends ? line->whole : len == 0 || line->text[len] != after)
        return false;
    skip(line, ends ? len : len + 1);
    return true;
}

static bool may_be_version(const struct line *line)
{
    static const char form[] = "HTTP/0.0";
    if (line->len > sizeof form - 1 || (line->whole && line->len < sizeof form - 1))
        return false;
    for (size_t i = 0; i < line->len; i++)
        if (form[i] == '0' ? !is_digit(line->text[i]) : line->text[i] != form[i])
            return false;
    return true;
}

static bool may_be_request_line(struct line line)
{
    return take_part(&line, is_token_char, ' ') && take_part(&line, is_visible, ' ') &&
           may_be_version(&line);
}

static bool may_be_field(struct line line)
{
    return take_part(&line, is_token_char, ':') &&
           span_part(&line, is_field_value_char, '\n') == line.len;
}

/* Of the bytes from `begin` on that were seen: all but a CR at their end, after which no LF may
 * have come. */
static size_t count_judged(size_t begin, size_t len, size_t seen)
{
    size_t judged = seen > begin + 1 ? seen - begin - 1 : 0;
    return judged < len ? judged : len;
}

/* From `begin` on; `len` is without the LF, which is there if it is `ended`. */
static bool may_be_line(const char *head, size_t begin, size_t len, size_t seen, bool ended)
{
    const char *text = head + begin;
    bool has_cr = len > 0 && text[len - 1] == '\r';
    size_t text_len = has_cr ? len - 1 : len;
    const struct line line = {text, text_len, count_judged(begin, text_len, seen), has_cr};
    if (ended && !has_cr)
        return false;
    if (line.len == 0) /* before the request line, or at the end */
        return true;
    bool is_first = begin == 0 || (begin == 2 && head[0] == '\r');
    return is_first ? may_be_request_line(line) : may_be_field(line);
}

bool http_request_is_hopeless(const char *data, size_t len, size_t seen)
{
    const char *line_end = memrchr(data, '\n', seen);
    size_t begin = line_end == NULL ? 0 : (size_t)(line_end - data) + 1;
    while (begin < len) {
        line_end = memchr(data + begin, '\n', len - begin);
        size_t end = line_end == NULL ? len : (size_t)(line_end - data);
        if (!may_be_line(data, begin, end - begin, seen, line_end != NULL))
            return true;
        begin = end + 1;
    }
    return false;
}

/* --- A whole head --- */

static bool is_all(const char *text, bool (*is_of)(char))
{
    size_t len = strlen(text);
    return span(text, len, is_of) == len;
}

static bool is_token(const char *text)
{
    return *text != '\0' && is_all(text, is_token_char);
}

/* A higher minor version is spoken to as the highest that we know (RFC 9110 section 2.5). */
static int parse_version(const char *text, int *minor)
{
    if (strncmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) || text[6] != '.' ||
        !is_digit(text[7]) || text[8] != '\0')
        return HTTP_REQUEST_BAD;
    *minor = text[7] > '0';
    return text[5] == '1' ? 0 : HTTP_REQUEST_VERSION;
}

/* "https://host/path" becomes "host" and "/path": a server must take that form too (RFC 9112
 * section 3.2.2), whatever stands between it and the client. */
static int take_authority(char **target, const char **host)
{
    size_t scheme_len = 0;
    if (strncasecmp(*target, "http://", 7) == 0)
        scheme_len = 7;
    else if (strncasecmp(*target, "https://", 8) == 0)
        scheme_len = 8;
    else
        return 0;
    char *authority = *target + scheme_len;
    size_t len = strcspn(authority, "/?");
    struct authority read;
    if (authority_read(authority, len, &read) != 0 || read.host[0] == '\0')
        return HTTP_REQUEST_BAD;
    /* the scheme leaves room for the NUL, and for the '/' of a target without a path */
    char *path = authority + len;
    memmove(*target, authority, len);
    (*target)[len] = '\0';
    *host = *target;
    if (*path != '/')
        *--path = '/';
    *target = path;
    return 0;
}

static int parse_target(char *target, struct http_request *out)
{
    if (!is_all(target, is_visible) || strchr(target, '#') != NULL ||
        take_authority(&target, &out->host) != 0)
        return HTTP_REQUEST_BAD;
    bool of_server = strcmp(target, "*") == 0 && strcmp(out->method, "OPTIONS") == 0;
    if (target[0] != '/' && !of_server)
        return HTTP_REQUEST_BAD;
    out->path = target;
    out->query = strchr(target, '?');
    if (out->query != NULL)
        *out->query++ = '\0';
    return 0;
}

static int parse_request_line(char *line, struct http_request *out)
{
    char *target = strchr(line, ' ');
    if (target == NULL)
        return HTTP_REQUEST_BAD;
    *target++ = '\0';
    char *version = strchr(target, ' ');
    if (version == NULL || !is_token(line))
        return HTTP_REQUEST_BAD;
    *version++ = '\0';
    out->method = line;
    int error = parse_version(version, &out->minor);
    return error != 0 ? error : parse_target(target, out);
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
    if (!is_token(line) || !is_all(value, is_field_value_char))
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

/* RFC 9112 section 3.2: one Host, and a good one, even beside a target that names another. */
static int judge_host_field(struct http_request *request)
{
    size_t count = http_request_header_count(request, "Host");
    const char *host = http_request_header(request, "Host");
    struct authority read;
    if (count > 1 || (count == 0 && request->minor == 1) ||
        (host != NULL && authority_read(host, strlen(host), &read) != 0))
        return HTTP_REQUEST_BAD;
    if (request->host == NULL)
        request->host = host;
    return 0;
}

static int judge_body(struct http_request *request)
{
    int body = http_field_body(request);
    request->has_body = body == 1;
    return body < 0 ? body : 0;
}

int http_request_parse(char *head, size_t len, struct http_request *out)
{
    if (memchr(head, '\0', len) != NULL)
        return HTTP_REQUEST_BAD;
    head[len - 1] = '\0'; /* of the empty line "\r\n": the loop below ends at its '\r' */
    char *at = head;
    if (strncmp(at, "\r\n", 2) == 0) /* left over from what came before (RFC 9112 section 2.2) */
        at += 2;
    out->host = NULL;
    out->header_count = 0;
    char *line = take_line(&at);
    int error = line == NULL ? HTTP_REQUEST_BAD : parse_request_line(line, out);
    while (error == 0 && strcmp(at, "\r") != 0) {
        line = take_line(&at);
        error = line == NULL ? HTTP_REQUEST_BAD : parse_header(line, out);
    }
    if (error == 0)
        error = judge_host_field(out);
    return error != 0 ? error : judge_body(out);
}

bool http_request_keeps_alive(const struct http_request *request)
{
    if (http_field_has(request, "Connection", "close"))
        return false;
    return request->minor == 1 || http_field_has(request, "Connection", "keep-alive");
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
