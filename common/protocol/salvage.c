#include "protocol/salvage.h"

#include <string.h>

struct cursor {
    const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL)
        cursor->at++;
}

/* Goes over the string that begins here. None when it is cut off; the cursor is at the end then. */
static struct salvage_string take_string(struct cursor *cursor)
{
    const char *start = cursor->at++;
    while (cursor->at < cursor->end && *cursor->at != '"')
        cursor->at += *cursor->at == '\\' && cursor->end - cursor->at > 1 ? 2 : 1;
    if (cursor->at == cursor->end)
        return (struct salvage_string){NULL, 0};
    cursor->at++;
    return (struct salvage_string){start, (size_t)(cursor->at - start)};
}

/* Goes over a ':'; false, and no step further, when there is none. */
static bool skip_colon(struct cursor *cursor)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != ':')
        return false;
    cursor->at++;
    skip_blanks(cursor);
    return true;
}

static bool is_key(struct salvage_string string, const char *key)
{
    size_t len = strlen(key);
    return string.data != NULL && string.len == len + 2 && memcmp(string.data + 1, key, len) == 0;
}

/* A member's key, or a string that is a value of its own; of a member of that key `found` is told.
 */
static void pass_string(struct cursor *cursor, const char *key, struct salvage_string *found)
{
    struct salvage_string string = take_string(cursor);
    if (!skip_colon(cursor))
        return;
    bool is_string = cursor->at < cursor->end && *cursor->at == '"';
    struct salvage_string value =
        is_string ? take_string(cursor) : (struct salvage_string){NULL, 0};
    if (is_key(string, key))
        *found = value;
}

struct salvage_string salvage_find_string(const char *data, size_t len, const char *key)
{
    struct cursor cursor = {data, data + len};
    struct salvage_string found = {NULL, 0};
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
