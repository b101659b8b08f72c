#include "protocol/http_field.h"

#include <string.h>
#include <strings.h>

enum { WEIGHT_ONE = 1000, NOT_THERE = -1 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* --- Lists --- */

/* Moves to the next header of the name, from the one where the walk is. */
static bool enter_header(struct http_field_walk *walk)
{
    const struct http_request *request = walk->request;
    while (walk->header < request->header_count &&
           !http_header_is(&request->headers[walk->header], walk->name))
        walk->header++;
    if (walk->header == request->header_count)
        return false;
    walk->at = request->headers[walk->header].value;
    return true;
}

bool http_field_next(struct http_field_walk *walk, struct http_field_element *out)
{
    while (walk->at != NULL || enter_header(walk)) {
        walk->at += strspn(walk->at, " \t,");
        size_t len = strcspn(walk->at, ",");
        if (len == 0) {
            walk->at = NULL;
            walk->header++;
            continue;
        }
        *out = (struct http_field_element){walk->at, len};
        while (is_blank(out->text[out->len - 1]))
            out->len--;
        walk->at += len;
        return true;
    }
    return false;
}

static bool is_word(const struct http_field_element *element, const char *word)
{
    return strlen(word) == element->len && strncasecmp(element->text, word, element->len) == 0;
}

bool http_field_has(const struct http_request *request, const char *name, const char *token)
{
    struct http_field_walk walk = {.request = request, .name = name};
    struct http_field_element element;
    while (http_field_next(&walk, &element))
        if (is_word(&element, token))
            return true;
    return false;
}

/* --- Weights --- */

/* "0", "0.5", "1.000": at most three digits after the point, and nothing above 1. */
static int read_weight(const char *text, size_t len)
{
    if (len == 0 || len > 5 || (text[0] != '0' && text[0] != '1') || (len > 1 && text[1] != '.'))
        return NOT_THERE;
    int weight = (text[0] - '0') * WEIGHT_ONE;
    int unit = WEIGHT_ONE / 10;
    for (size_t i = 2; i < len; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return NOT_THERE;
        weight += (text[i] - '0') * unit;
    }
    return weight > WEIGHT_ONE ? NOT_THERE : weight;
}

/* The value without its parameters. */
static struct http_field_element find_bare(const struct http_field_element *element)
{
    const char *semicolon = memchr(element->text, ';', element->len);
    struct http_field_element bare = *element;
    if (semicolon != NULL)
        bare.len = (size_t)(semicolon - element->text);
    while (bare.len > 0 && is_blank(bare.text[bare.len - 1]))
        bare.len--;
    return bare;
}

/* The weight of "VALUE" or "VALUE ; q=0.5", whatever the value is; NOT_THERE when it is none. */
static int read_element_weight(const struct http_field_element *element)
{
    const char *end = element->text + element->len;
    const char *semicolon = memchr(element->text, ';', element->len);
    if (semicolon == NULL)
        return WEIGHT_ONE;
    do
        semicolon++;
    while (semicolon < end && is_blank(*semicolon));
    if (end - semicolon < 2 || strncasecmp(semicolon, "q=", 2) != 0)
        return NOT_THERE;
    return read_weight(semicolon + 2, (size_t)(end - semicolon) - 2);
}

/* NOT_THERE when it is another value's. */
static int weight_of(const struct http_field_element *element, const char *value)
{
    struct http_field_element bare = find_bare(element);
    return is_word(&bare, value) ? read_element_weight(element) : NOT_THERE;
}

int http_field_weight(const struct http_request *request, const char *name, const char *value)
{
    struct http_field_walk walk = {.request = request, .name = name};
    struct http_field_element element;
    while (http_field_next(&walk, &element)) {
        int weight = weight_of(&element, value);
        if (weight != NOT_THERE)
            return weight;
    }
    return NOT_THERE;
}

static const char accept_encoding[] = "Accept-Encoding";

static int weight_or(int weight, int otherwise)
{
    return weight == NOT_THERE ? otherwise : weight;
}

bool http_field_prefers_gzip(const struct http_request *request)
{
    int any = http_field_weight(request, accept_encoding, "*");
    int gzip = weight_or(http_field_weight(request, accept_encoding, "gzip"),
                         weight_or(http_field_weight(request, accept_encoding, "x-gzip"), any));
    int identity = weight_or(http_field_weight(request, accept_encoding, "identity"), any);
    if (gzip == NOT_THERE) /* what was not asked for is better than what was refused */
        return identity == 0;
    return gzip > 0 && gzip >= identity;
}

bool http_field_prefers_brotli(const struct http_request *request)
{
    int any = http_field_weight(request, accept_encoding, "*");
    int brotli = http_field_weight(request, accept_encoding, "br");
    return brotli > 0 &&
           brotli >= weight_or(http_field_weight(request, accept_encoding, "gzip"), any) &&
           brotli >= weight_or(http_field_weight(request, accept_encoding, "identity"), any);
}

/* Is it the language, or a kind of it ("ja-JP")? */
static bool is_of_language(const struct http_field_element *range, const char *language)
{
    size_t len = strlen(language);
    return range->len >= len && strncasecmp(range->text, language, len) == 0 &&
           (range->len == len || range->text[len] == '-');
}

const char *http_field_language(const struct http_request *request, const char *const languages[],
                                size_t n)
{
    struct http_field_walk walk = {.request = request, .name = "Accept-Language"};
    struct http_field_element element;
    const char *best = languages[0];
    int most = 0;
    while (http_field_next(&walk, &element)) {
        struct http_field_element range = find_bare(&element);
        int weight = read_element_weight(&element);
        for (size_t i = 0; i < n && weight > most; i++)
            if (is_of_language(&range, languages[i])) {
                best = languages[i];
                most = weight;
            }
    }
    return best;
}

/* --- The body --- */

static int judge_codings(const struct http_request *request)
{
    struct http_field_walk walk = {.request = request, .name = "Transfer-Encoding"};
    struct http_field_element element;
    size_t count = 0;
    if (http_request_header(request, "Content-Length") != NULL || request->minor == 0)
        return HTTP_REQUEST_BAD;
    for (; http_field_next(&walk, &element); count++)
        if (!is_word(&element, "chunked"))
            return HTTP_REQUEST_CODING;
    return count == 1 ? 1 : HTTP_REQUEST_BAD;
}

int http_field_body(const struct http_request *request)
{
    if (http_request_header(request, "Transfer-Encoding") != NULL)
        return judge_codings(request);
    const char *length = http_request_header(request, "Content-Length");
    if (length == NULL)
        return 0;
    if (http_request_header_count(request, "Content-Length") > 1 || length[0] == '\0' ||
        length[strspn(length, "0123456789")] != '\0')
        return HTTP_REQUEST_BAD;
    return length[strspn(length, "0")] == '\0' ? 0 : 1;
}
