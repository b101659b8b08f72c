#include "config/address_walk.h"

#include <string.h>
#include <strings.h>

static const char blanks[] = " \t";

struct part {
    const char *data;
    size_t len;
};

/* A quote behind a backslash is none; behind two it is one (RFC 9110 section 5.6.4). */
static bool is_escaped(const char *list, size_t at)
{
    size_t slashes = 0;
    while (slashes < at && list[at - 1 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 1;
}

static struct part trim(const char *data, size_t len)
{
    while (len > 0 && strchr(blanks, data[0]) != NULL)
        data++, len--;
    while (len > 0 && strchr(blanks, data[len - 1]) != NULL)
        len--;
    return (struct part){data, len};
}

/* The last part before `*end` that is not empty; false when there is none. `*end` moves to where it
 * begins. Of a list with quotes, `separator` counts outside of them alone, as seen from the right.
 */
static bool take_last(const char *list, size_t *end, char separator, bool quotes, struct part *out)
{
    while (*end > 0) {
        size_t stop = *end;
        size_t start = stop;
        bool quoted = false;
        while (start > 0 && (quoted || list[start - 1] != separator)) {
            start--;
            quoted ^= quotes && list[start] == '"' && !is_escaped(list, start);
        }
        *end = start > 0 ? start - 1 : 0;
        *out = trim(list + start, stop - start);
        if (out->len > 0)
            return true;
    }
    return false;
}

/* --- One element of Forwarded --- */

/* A pair's value without its quotes. What a backslash hides is nowhere needed in an address. */
static bool unquote(struct part *value)
{
    if (value->len == 0)
        return false;
    if (value->data[0] == '"') {
        if (value->len < 2 || value->data[value->len - 1] != '"')
            return false;
        *value = (struct part){value->data + 1, value->len - 2};
    }
    return memchr(value->data, '"', value->len) == NULL &&
           memchr(value->data, '\\', value->len) == NULL;
}

/* Is it NAME=value, in any case, and without blanks around the '=' (RFC 7239 section 4)? */
static bool is_pair_of(const struct part *pair, const char *name)
{
    size_t len = strlen(name);
    return pair->len > len && pair->data[len] == '=' && strncasecmp(pair->data, name, len) == 0;
}

/* The address behind `for`, of which there must be one. */
static int read_element(const struct part *element, struct address *out)
{
    struct part node = {NULL, 0};
    struct part pair;
    size_t end = element->len;
    while (take_last(element->data, &end, ';', true, &pair)) {
        if (!is_pair_of(&pair, "for"))
            continue;
        if (node.data != NULL)
            return -1;
        node = (struct part){pair.data + 4, pair.len - 4};
    }
    if (node.data == NULL || !unquote(&node))
        return -1;
    return address_parse(node.data, node.len, out);
}

/* --- Walking --- */

static int read_entry(const struct part *entry, struct address *out)
{
    return address_parse(entry->data, entry->len, out);
}

static bool is_trusted(const struct address_walk *walk)
{
    return walk->at.local_socket ||
           address_in_blocks(&walk->at, walk->trusted, walk->trusted_count);
}

static bool walk_parts(struct address_walk *walk, const char *list, bool quotes,
                       int (*read)(const struct part *, struct address *))
{
    struct part part;
    size_t end = strlen(list);
    bool moved = false;
    while (is_trusted(walk) && take_last(list, &end, ',', quotes, &part)) {
        if (read(&part, &walk->at) != 0)
            return false;
        moved = true;
    }
    return moved;
}

bool address_walk_list(struct address_walk *walk, const char *list)
{
    return walk_parts(walk, list, false, read_entry);
}

bool address_walk_forwarded(struct address_walk *walk, const char *list)
{
    return walk_parts(walk, list, true, read_element);
}
