#include "protocol/scan.h"

#include <string.h>

struct scan scan_begin(const char *data, size_t len)
{
    return (struct scan){data, data + len};
}

static void mark_bad(struct scan *scan)
{
    scan->at = scan->end = NULL;
}

bool scan_skip(struct scan *scan, const char *bytes)
{
    size_t len = strlen(bytes);
    if (scan->at == NULL || (size_t)(scan->end - scan->at) < len ||
        memcmp(scan->at, bytes, len) != 0)
        return false;
    scan->at += len;
    return true;
}

void scan_expect(struct scan *scan, const char *bytes)
{
    if (!scan_skip(scan, bytes))
        mark_bad(scan);
}

uint64_t scan_number(struct scan *scan)
{
    enum { MOST_DIGITS = 18 };
    const char *start = scan->at;
    uint64_t number = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' &&
           scan->at - start < MOST_DIGITS)
        number = number * 10 + (uint64_t)(*scan->at++ - '0');
    size_t digits = (size_t)(scan->at - start);
    if (digits == 0 || (*start == '0' && digits > 1)) {
        mark_bad(scan);
        return 0;
    }
    return number;
}

/* Bytes of the UTF-8 sequence that begins here, 0 when it is none (RFC 3629, section 4: no
 * overlong forms, no surrogates, nothing beyond U+10FFFF). */
static size_t sequence(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < len)
        return 0;
    if (at[0] == 0xe0)
        low = 0xa0;
    else if (at[0] == 0xed)
        high = 0x9f;
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* Bytes of the character or escape that begins here, 0 when it may not stand in a string. */
static size_t character(const uint8_t *at, size_t left, bool unescaped)
{
    if (at[0] >= 0x80)
        return sequence(at, left);
    if (at[0] != '\\')
        return at[0] >= ' ' ? 1 : 0;
    return !unescaped && left >= 2 && memchr("\"\\/bfnrt", at[1], 8) != NULL ? 2 : 0;
}

/* In which of eight bytes is something else than ASCII that stands for itself: a quote, a
 * backslash, a control or the beginning of a sequence? Their highest bits, exact up to the first of
 * them. */
static uint64_t find_special(uint64_t eight)
{
    static const uint64_t ones = 0x0101010101010101u;
    uint64_t quotes = eight ^ (ones * '"');
    uint64_t backslashes = eight ^ (ones * '\\');
    uint64_t found = (eight - ones * ' ') | (quotes - ones) | (backslashes - ones) | eight;
    return found & (ones * 0x80);
}

size_t scan_unescaped(const char *data, size_t len)
{
    size_t at = 0;
    while (len - at >= 8) {
        uint64_t eight;
        memcpy(&eight, data + at, sizeof eight);
        if (find_special(eight) != 0)
            break;
        at += sizeof eight;
    }
    return at;
}

static const char *skip_unescaped(const char *at, const char *end)
{
    return at + scan_unescaped(at, (size_t)(end - at));
}

struct scan_string scan_string(struct scan *scan, bool unescaped)
{
    scan_expect(scan, "\"");
    const char *start = scan->at;
    while (scan->at != NULL && (scan->at = skip_unescaped(scan->at, scan->end)) < scan->end &&
           *scan->at != '"') {
        size_t len =
            character((const uint8_t *)scan->at, (size_t)(scan->end - scan->at), unescaped);
        if (len == 0) {
            mark_bad(scan);
            return (struct scan_string){NULL, 0};
        }
        scan->at += len;
    }
    struct scan_string string = {start, (size_t)(scan->at - start)};
    scan_expect(scan, "\"");
    return scan->at == NULL ? (struct scan_string){NULL, 0} : string;
}

bool scan_is_utf8(const char *data, size_t len)
{
    const uint8_t *at = (const uint8_t *)data;
    while (len > 0) {
        size_t step = at[0] < 0x80 ? 1 : sequence(at, len);
        if (step == 0)
            return false;
        at += step;
        len -= step;
    }
    return true;
}

bool scan_ends(const struct scan *scan)
{
    return scan->at != NULL && scan->at == scan->end;
}
