/* scan against jansson: what scan takes for a string or a number is one, and the very same. */
#include "fuzz.h"
#include "protocol/scan.h"

#include <jansson.h>

static json_t *load(const uint8_t *data, size_t len)
{
    return json_loadb((const char *)data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static void check_string(const uint8_t *data, size_t len, bool unescaped)
{
    struct scan scan = scan_begin((const char *)data, len);
    struct scan_string inside = scan_string(&scan, unescaped);
    if (!scan_ends(&scan))
        return;
    json_t *value = load(data, len);
    must(json_is_string(value), "a string to both");
    must(inside.data == (const char *)data + 1 && inside.len == len - 2, "all between the quotes");
    if (unescaped)
        must(json_string_length(value) == inside.len &&
                 memcmp(json_string_value(value), inside.data, inside.len) == 0,
             "unescaped bytes are the text");
    json_decref(value);
}

static void check_number(const uint8_t *data, size_t len)
{
    struct scan scan = scan_begin((const char *)data, len);
    uint64_t number = scan_number(&scan);
    if (!scan_ends(&scan))
        return;
    json_t *value = load(data, len);
    must(json_is_integer(value) && (uint64_t)json_integer_value(value) == number,
         "the same number to both");
    json_decref(value);
}

static void check_unescaped(const uint8_t *data, size_t len)
{
    size_t unescaped = scan_unescaped((const char *)data, len);
    must(unescaped <= len, "no further than there is");
    for (size_t i = 0; i < unescaped; i++)
        must(data[i] >= ' ' && data[i] < 0x80 && data[i] != '"' && data[i] != '\\',
             "unescaped bytes stand for themselves");
}

static void check_utf8(const uint8_t *data, size_t len)
{
    json_t *value = json_stringn((const char *)data, len); /* NULL when it is not UTF-8 */
    must(scan_is_utf8((const char *)data, len) == (value != NULL), "UTF-8 to both, or to none");
    json_decref(value);
}

/* A message in the form that our scripts write, field by field. */
static void check_object(const uint8_t *data, size_t len)
{
    struct scan scan = scan_begin((const char *)data, len);
    scan_expect(&scan, "{\"seq\":");
    uint64_t seq = scan_number(&scan);
    scan_expect(&scan, ",\"name\":");
    struct scan_string name = scan_string(&scan, true);
    if (scan_skip(&scan, ",\"text\":"))
        scan_string(&scan, false);
    scan_expect(&scan, "}");
    if (!scan_ends(&scan))
        return;
    json_t *root = load(data, len);
    const json_t *same = json_object_get(root, "name");
    must((uint64_t)json_integer_value(json_object_get(root, "seq")) == seq, "the same field seq");
    must(json_is_string(same) && json_string_length(same) == name.len &&
             memcmp(json_string_value(same), name.data, name.len) == 0,
         "the same field name");
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    check_string(data, len, false);
    check_string(data, len, true);
    check_number(data, len);
    check_unescaped(data, len);
    check_utf8(data, len);
    check_object(data, len);
    return 0;
}
