#include "protocol/salvage.h"

#include <string.h>

static void skip_blanks(struct scan *cursor)
{
    while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL)
        cursor->at++;
}

/* Goes over the string that begins here. None when it is cut off; the cursor is at the end then. */
static struct scan_string take_string(struct scan *cursor)
{
    const char *start = cursor->at++;
    while (cursor->at < cursor->end && *cursor->at != '"')
        cursor->at += *cursor->at == '\\' && cursor->end - cursor->at > 1 ? 2 : 1;
    if (cursor->at == cursor->end)
        return (struct scan_string){NULL, 0};
    cursor->at++;
    return (struct scan_string){start, (size_t)(cursor->at - start)};
}

/* Goes over a ':'; false, and no step further, when there is none. */
static bool skip_colon(struct scan *cursor)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != ':')
        return false;
    cursor->at++;
    skip_blanks(cursor);
    return true;
}

static bool has_name(struct scan_string string, const char *key)
{
    size_t len = strlen(key);
    return string.data != NULL && string.len == len + 2 && memcmp(string.data + 1, key, len) == 0;
}

/* A member's key, or a string that is a value of its own; `found` becomes the value of that key. */
static void pass_string(struct scan *cursor, const char *key, struct scan_string *found)
{
    struct scan_string string = take_string(cursor);
    if (!skip_colon(cursor))
        return;
    bool is_string = cursor->at < cursor->end && *cursor->at == '"';
    struct scan_string value = is_string ? take_string(cursor) : (struct scan_string){NULL, 0};
    if (has_name(string, key))
        *found = value;
}

struct scan_string salvage_find_string(const char *data, size_t len, const char *key)
{
    struct scan cursor = scan_begin(data, len);
    struct scan_string found = {NULL, 0};
    size_t depth = 0;
    skip_blanks(&cursor);
    if (cursor.at == cursor.end || *cursor.at != '{')
        return found;
    do {
        char byte = *cursor.at;
        if (byte == '"' && depth == 1) {
            pass_string(&cursor, key, &found);
        } else if (byte == '"') {
            take_string(&cursor);
        } else {
            depth += byte == '{' || byte == '[';
            depth -= byte == '}' || byte == ']';
            cursor.at++;
        }
    } while (depth > 0 && cursor.at < cursor.end);
    return found;
}
