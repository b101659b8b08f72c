/* scan: reads JSON (RFC 8259) of a form that the caller expects, front to back, without a tree and
 * without allocating. It is for the messages that come thousands of times a second in the very form
 * that we write ourselves; what looks different in any way is left to a full parser.
 *
 * One mistake makes the whole scan bad, and it stays so: callers look once, at the end. */
#ifndef YUKIZURI_PROTOCOL_SCAN_H
#define YUKIZURI_PROTOCOL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
    const char *at, *end; /* what is left; NULL once something did not fit */
};

/* The inside of a string. */
struct scan_string {
    const char *data;
    size_t len;
};

struct scan scan_begin(const char *data, size_t len);

/* These very bytes come next. */
void scan_expect(struct scan *scan, const char *bytes);

/* Do they? Goes over them if so; a bad scan is at nothing. */
bool scan_skip(struct scan *scan, const char *bytes);

/* A whole number of at most 18 digits, without a sign. */
uint64_t scan_number(struct scan *scan);

/* A string, quotes included: UTF-8 (RFC 3629) without control bytes and escapes of one letter. With
 * `unescaped` no escapes at all, so that the bytes are the text. \uXXXX is left to a full parser.
 */
struct scan_string scan_string(struct scan *scan, bool unescaped);

/* So many bytes at the beginning are ASCII that stands for itself in a string: no quotes, no
 * backslashes, no controls. Seven more may be: it looks at eight at a time. */
size_t scan_unescaped(const char *data, size_t len);

/* Is all of it UTF-8 (RFC 3629)? The bytes of ASCII are all allowed. */
bool scan_is_utf8(const char *data, size_t len);

/* Was everything as expected, and is nothing left? */
bool scan_ends(const struct scan *scan);

#endif
