#include "protocol/extension.h"

#include "protocol/deflate.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A token (RFC 9110 section 5.6.2), within quotes or not. */
struct word {
    char text[32]; /* its beginning */
    size_t len;    /* of all of it */
};

/* The parameters of permessage-deflate. */
enum param {
    SERVER_NO_TAKEOVER = 1,
    CLIENT_NO_TAKEOVER = 2,
    SERVER_WINDOW = 4,
    CLIENT_WINDOW = 8,
};

struct offer {
    bool good;          /* permessage-deflate, and so far nothing speaks against it */
    unsigned seen;      /* enum param */
    unsigned most_bits; /* of the server's window; 0: not limited */
};

/* --- The grammar --- */

static bool is_token_char(char c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr(marks, c) != NULL);
}

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

static void add_char(struct word *word, char c)
{
    if (word->len < sizeof word->text)
        word->text[word->len] = c;
    word->len++;
}

static bool read_token(const char **at, struct word *out)
{
    out->len = 0;
    for (; is_token_char(**at); ++*at)
        add_char(out, **at);
    return out->len > 0;
}

/* What is within the quotes, once unescaped, has to be a token too (RFC 6455 section 9.1). */
static bool read_quoted(const char **at, struct word *out)
{
    out->len = 0;
    for (++*at; **at != '"'; ++*at) {
        if (**at == '\\')
            ++*at;
        if (!is_token_char(**at))
            return false;
        add_char(out, **at);
    }
    ++*at;
    return out->len > 0;
}

/* The value of a parameter, if it has one. */
static bool read_value(const char **at, struct word *out)
{
    out->len = 0;
    skip_blanks(at);
    if (**at != '=')
        return true;
    ++*at;
    skip_blanks(at);
    return **at == '"' ? read_quoted(at, out) : read_token(at, out);
}

/* --- permessage-deflate --- */

static bool word_is(const struct word *word, const char *text)
{
    return word->len == strlen(text) && memcmp(word->text, text, word->len) == 0;
}

/* 8 to 15, without leading zeroes (RFC 7692 section 7.1.2.1); 0: something else. */
static unsigned read_bits(const struct word *value)
{
    static const char *const all[] = {"8", "9", "10", "11", "12", "13", "14", "15"};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (word_is(value, all[i]))
            return 8 + i;
    return 0;
}

static unsigned find_param(const struct word *name)
{
    static const struct {
        const char *name;
        unsigned param;
    } params[] = {
        {"server_no_context_takeover", SERVER_NO_TAKEOVER},
        {"client_no_context_takeover", CLIENT_NO_TAKEOVER},
        {"server_max_window_bits", SERVER_WINDOW},
        {"client_max_window_bits", CLIENT_WINDOW},
    };
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (word_is(name, params[i].name))
            return params[i].param;
    return 0;
}

/* Can this parameter be kept? */
static bool judge_param(struct offer *offer, const struct word *name, const struct word *value)
{
    unsigned param = find_param(name);
    unsigned bits = read_bits(value);
    if (param == 0 || (offer->seen & param) != 0)
        return false;
    offer->seen |= param;
    if (param == SERVER_WINDOW) {
        offer->most_bits = bits;
        return bits >= DEFLATE_WINDOW_BITS;
    }
    if (param == CLIENT_WINDOW)
        return value->len == 0 || bits > 0;
    return value->len == 0;
}

/* --- Offers --- */

/* Moves over an offer; false when it is malformed. */
static bool read_offer(const char **at, struct offer *out)
{
    struct word name, value;
    if (!read_token(at, &name))
        return false;
    *out = (struct offer){.good = word_is(&name, "permessage-deflate")};
    for (skip_blanks(at); **at == ';'; skip_blanks(at)) {
        ++*at;
        skip_blanks(at);
        if (!read_token(at, &name) || !read_value(at, &value))
            return false;
        out->good = judge_param(out, &name, &value) && out->good;
    }
    return **at == ',' || **at == '\0';
}

/* The first good offer of a header, unless there is one already; false when it is malformed. Lists
 * may have empty elements (RFC 9110 section 5.6.1.2). */
static bool read_header(const char *at, struct offer *chosen)
{
    struct offer offer;
    for (at += strspn(at, " \t,"); *at != '\0'; at += strspn(at, " \t,")) {
        if (!read_offer(&at, &offer))
            return false;
        if (offer.good && !chosen->good)
            *chosen = offer;
    }
    return true;
}

int extension_negotiate(const struct http_request *request, char answer[EXTENSION_ANSWER_BYTES])
{
    struct offer chosen = {.good = false};
    for (size_t i = 0; i < request->header_count; i++)
        if (http_header_is(&request->headers[i], "Sec-WebSocket-Extensions") &&
            !read_header(request->headers[i].value, &chosen))
            return HTTP_REQUEST_BAD;
    if (!chosen.good)
        return 0;
    int len =
        snprintf(answer, EXTENSION_ANSWER_BYTES,
                 "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (chosen.most_bits > 0)
        snprintf(answer + len, EXTENSION_ANSWER_BYTES - (size_t)len, "; server_max_window_bits=%d",
                 DEFLATE_WINDOW_BITS);
    return 1;
}
